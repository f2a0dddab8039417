"""Pooling to a given size, for formats that have it for one number for each channel only."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class AxisByAxis(nn.Module):
    """Pools along each axis in turn. `reduce` is `torch.amax` or `torch.mean`; `plain` is the function of windows that
    are all of one size, `max_pool` or `avg_pool`, which is taken where sizes are fixed and can be divided."""

    def __init__(self, layer: Any, reduce: Callable[..., Tensor], plain: str, sizes_are_fixed: bool) -> None:
        super().__init__()
        axes = int(type(layer).__name__[-2])
        self.output_size = layer.output_size if isinstance(layer.output_size, tuple) else (layer.output_size,) * axes
        self.reduce, self.sizes_are_fixed = reduce, sizes_are_fixed
        self.plain = getattr(nn.functional, f"{plain}{axes}d")

    def forward(self, x: Tensor) -> Tensor:
        if set(self.output_size) == {1}:
            return self.reduce(x, dim=tuple(range(-len(self.output_size), 0)), keepdim=True)
        if self.sizes_are_fixed and all(count and not size % count for size, count in self._sizes(x)):
            kernel = [size // count for size, count in self._sizes(x)]
            return self.plain(x, kernel) if set(kernel) != {1} else x
        for axis, count in enumerate(self.output_size, start=-len(self.output_size)):
            x = x if count is None else self._pooled(x, axis, count)
        return x

    def _sizes(self, x: Tensor) -> list[tuple[int, int]]:
        sizes = x.shape[-len(self.output_size) :]
        return [(int(size), count) for size, count in zip(sizes, self.output_size, strict=True)]

    def _pooled(self, x: Tensor, axis: int, count: int) -> Tensor:
        size = x.size(axis)
        limits = [(number * size // count, (size * (number + 1) + count - 1) // count) for number in range(count)]
        windows = [_between(x, axis, start, end) for start, end in limits]
        return torch.cat([self.reduce(window, dim=axis, keepdim=True) for window in windows], axis)


def _between(x: Tensor, axis: int, start: Any, end: Any) -> Tensor:
    places: list[Any] = [..., slice(start, end), *[slice(None)] * (-axis - 1)]
    return x[tuple(places)]
