"""What torch's tracing exporter has no ONNX for, written as what it has: the same answers from other operators.

Applied to a copy of the network on its way into a file; the network keeps its layers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import singledispatch
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd

from worker.exporting.adaptive_pooling import AxisByAxis
from worker.exporting.unprojected_lstm import UnprojectedLSTM


def substituted(module: fx.GraphModule, sizes_are_fixed: bool) -> fx.GraphModule:
    """Changes the graph module in place, its layers not. `sizes_are_fixed` if only the batch is free."""
    for node in module.graph.nodes:
        if node.op == "call_module":
            setattr(module, node.target, substitute(getattr(module, node.target), sizes_are_fixed))
        node.target = FUNCTIONS.get(node.target, node.target)
    module.recompile()
    return module


@singledispatch
def substitute(layer: nn.Module, _sizes_are_fixed: bool) -> nn.Module:
    return layer


class _OfThisBatch(nn.Module):
    """A batch norm without running statistics: mean and variance are those of the batch at hand."""

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = layer.weight, layer.bias, layer.eps

    def forward(self, x: Tensor) -> Tensor:
        others = [axis for axis in range(x.dim()) if axis != 1]
        centred = x - x.mean(others, keepdim=True)
        normal = centred / torch.sqrt((centred * centred).mean(others, keepdim=True) + self.eps)
        if self.weight is None:
            return normal
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        return normal * self.weight.view(shape) + self.bias.view(shape)


@substitute.register
def _(layer: _BatchNorm, _sizes_are_fixed: bool) -> nn.Module:
    return layer if layer.running_mean is not None else _OfThisBatch(layer)


class _OfStoredStatistics(nn.Module):
    """An instance norm that kept statistics answers as a batch norm with these."""

    def __init__(self, layer: _InstanceNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = layer.weight, layer.bias, layer.eps
        self.register_buffer("running_mean", layer.running_mean)
        self.register_buffer("running_var", layer.running_var)

    def forward(self, x: Tensor) -> Tensor:
        mean: Any = self.running_mean
        variance: Any = self.running_var
        return nn.functional.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)


class _Summed(nn.Module):
    """A mean of windows with a divisor of its own."""

    def __init__(self, layer: nn.AvgPool2d | nn.AvgPool3d) -> None:
        super().__init__()
        self.mean: Any = copy(layer)
        self.mean.divisor_override, self.mean.count_include_pad = None, True
        axes = 2 if isinstance(layer, nn.AvgPool2d) else 3
        kernel = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * axes
        self.factor = math.prod(kernel) / (layer.divisor_override or 1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.mean(x) * self.factor)


@substitute.register(nn.AvgPool2d)
@substitute.register(nn.AvgPool3d)
def _(layer: Any, _sizes_are_fixed: bool) -> nn.Module:
    return _Summed(layer) if layer.divisor_override and not layer.ceil_mode else layer


class _Above(nn.Module):
    """A threshold that isn't zero."""

    def __init__(self, layer: nn.Threshold) -> None:
        super().__init__()
        self.threshold, self.value = layer.threshold, layer.value

    def forward(self, x: Tensor) -> Tensor:
        return _threshold(x, self.threshold, self.value)


@substitute.register
def _(layer: nn.Threshold, _sizes_are_fixed: bool) -> nn.Module:
    return _Above(layer)


@substitute.register
def _(layer: _InstanceNorm, _sizes_are_fixed: bool) -> nn.Module:
    return layer if layer.running_mean is None else _OfStoredStatistics(layer)


@substitute.register
def _(layer: _ConvNd, _sizes_are_fixed: bool) -> nn.Module:
    """With `same` padding that isn't the same on both sides, the exporter pads one side too much."""
    if layer.padding != "same" or layer.padding_mode != "zeros" or all(size % 2 for size in layer.kernel_size):
        return layer
    padded: Any = copy(layer)
    padded.padding_mode = "constant"  # by an operator of its own, and with zeros
    return cast(nn.Module, padded)


@substitute.register
def _(layer: nn.LSTM, _sizes_are_fixed: bool) -> nn.Module:
    return UnprojectedLSTM(layer) if layer.proj_size else layer


@substitute.register
def _(layer: _AdaptiveAvgPoolNd, sizes_are_fixed: bool) -> nn.Module:
    return AxisByAxis(layer, torch.mean, "avg_pool", sizes_are_fixed)


@substitute.register
def _(layer: _AdaptiveMaxPoolNd, sizes_are_fixed: bool) -> nn.Module:
    return AxisByAxis(layer, torch.amax, "max_pool", sizes_are_fixed)


def _difference(
    x: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    x = torch.cat([part for part in (prepend, x, append) if part is not None], dim)
    for _ in range(n):
        x = x.narrow(dim, 1, x.size(dim) - 1) - x.narrow(dim, 0, x.size(dim) - 1)
    return x


def _running_sum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Of numbers, where torch takes truth values, too."""
    counted = x if x.is_floating_point() else x.to(torch.int64)
    return torch.cumsum(counted, dim, dtype=dtype)


def _with_slice(
    x: Tensor, values: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    places = torch.arange(x.size(dim))[start:end:step]
    shape = [1] * x.dim()
    shape[dim] = -1
    return torch.scatter(x, dim, places.view(shape).expand_as(values), values)


def _threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    return torch.where(x > threshold, x, torch.full_like(x, value))


def _shuffled(x: Tensor, groups: int) -> Tensor:
    apart = torch.unflatten(x, 1, (groups, x.size(1) // groups))
    return apart.transpose(1, 2).flatten(1, 2)


def _unflattened(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """The exporter's own takes all other sizes for those of the example, the batch too."""
    dim %= x.dim()
    return x.reshape([*x.shape[:dim], *sizes, *x.shape[dim + 1 :]])


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    torch.diff: _difference,
    torch.cumsum: _running_sum,
    torch.slice_scatter: _with_slice,
    torch.threshold: _threshold,
    torch.channel_shuffle: _shuffled,
    torch.unflatten: _unflattened,
}
