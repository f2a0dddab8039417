"""What torch's tracing exporter has no ONNX for, written as what it has: the same answers from other operators.

Applied to a copy of the network on its way into a file; the network keeps its layers.
"""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
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


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    torch.diff: _difference,
    torch.cumsum: _running_sum,
    torch.slice_scatter: _with_slice,
}
