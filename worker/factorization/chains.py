"""Layers as chains of smaller layers, and what each chain costs.

    linear        svd     (in -> rank) (rank -> out)
    convolution   svd     (in -> rank, the kernel) (rank -> out, 1x1)
                  tucker  (in -> rank_in, 1x1) (rank_in -> rank_out, the kernel) (rank_out -> out, 1x1)
                  cp      (in -> rank, 1x1) (each channel by itself along each dimension) (rank -> out, 1x1)

A chain's last layer has the bias. Strides, padding and dilation are those of the layer with the kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from worker.factorization.decompositions import Cp, Svd, Tucker2

Convolution = nn.Conv1d | nn.Conv2d
KERNEL_SETTINGS = ("stride", "padding", "dilation")


@dataclass(frozen=True)
class Positions:
    """At how many places of one example a layer computes, its calls added up: before its stride and after it."""

    read: int
    written: int


@dataclass(frozen=True)
class Widths:
    """Of a layer: features or channels, and its kernel's size, () for a linear layer."""

    inputs: int
    outputs: int
    kernel: tuple[int, ...] = ()

    @classmethod
    def of(cls, layer: nn.Module) -> "Widths":
        assert isinstance(layer.weight, Tensor)
        outputs, inputs, *kernel = layer.weight.shape
        return cls(inputs, outputs, tuple(kernel))

    @property
    def columns(self) -> int:
        return self.inputs * prod(self.kernel)

    def macs(self, at: Positions) -> int:
        return at.written * self.outputs * self.columns

    def svd_macs(self, rank: int, at: Positions) -> int:
        return at.written * rank * (self.columns + self.outputs)

    def tucker_macs(self, rank_out: int, rank_in: int, at: Positions) -> int:
        """A dimension of full rank needs no layer of its own."""
        first = 0 if rank_in == self.inputs else at.read * self.inputs * rank_in
        last = 0 if rank_out == self.outputs else at.written * self.outputs * rank_out
        return first + at.written * rank_in * rank_out * prod(self.kernel) + last

    def cp_macs(self, rank: int, at: Positions) -> int:
        """The strided dimensions are counted as if none had a stride, which is at most too much."""
        return rank * (at.read * (self.inputs + sum(self.kernel)) + at.written * self.outputs)


def linear_chain(layer: nn.Linear, svd: Svd) -> list[nn.Module]:
    first = nn.Linear(layer.in_features, len(svd.right), bias=False)
    last = nn.Linear(len(svd.right), layer.out_features, bias=layer.bias is not None)
    return [_filled(first, svd.right), _filled(last, svd.left, layer.bias)]


def svd_chain(layer: Convolution, svd: Svd) -> list[nn.Module]:
    rank = len(svd.right)
    first = _spatial(layer, layer.in_channels, rank)
    last = _pointwise(layer, rank, layer.out_channels, layer.bias is not None)
    kernel = svd.right.reshape(rank, *layer.weight.shape[1:])
    return [_filled(first, kernel), _filled(last, svd.left, layer.bias)]


def tucker_chain(layer: Convolution, tucker: Tucker2) -> list[nn.Module]:
    """Two layers where one dimension has its full rank: its factor is multiplied into the core."""
    core, (outputs, rank_out), (inputs, rank_in) = tucker.core, tucker.outputs.shape, tucker.inputs.shape
    first, last = rank_in < inputs, rank_out < outputs
    if not first:
        core = torch.einsum("rs...,is->ri...", core, tucker.inputs)
    if not last:
        core = torch.einsum("rs...,or->os...", core, tucker.outputs)
    middle = _spatial(layer, rank_in, rank_out, bias=not last and layer.bias is not None)
    chain = [_filled(_pointwise(layer, inputs, rank_in), tucker.inputs.T)] if first else []
    chain.append(_filled(middle, core, None if last else layer.bias))
    if last:
        widened = _pointwise(layer, rank_out, outputs, layer.bias is not None)
        chain.append(_filled(widened, tucker.outputs, layer.bias))
    return chain


def cp_chain(layer: Convolution, cp: Cp) -> list[nn.Module]:
    outputs, inputs, *along = cp.factors
    rank = inputs.shape[1]
    chain = [_filled(_pointwise(layer, layer.in_channels, rank), inputs.T)]
    for dim, factor in enumerate(along):
        shape = [rank, 1, *(len(factor) if other == dim else 1 for other in range(len(along)))]
        chain.append(_filled(_along(layer, rank, dim), factor.T.reshape(shape)))
    chain.append(_filled(_pointwise(layer, rank, layer.out_channels, layer.bias is not None), outputs, layer.bias))
    return chain


def _pointwise(layer: Convolution, inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    return type(layer)(inputs, outputs, 1, bias=bias)


def _spatial(layer: Convolution, inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    settings = {name: getattr(layer, name) for name in KERNEL_SETTINGS}
    return type(layer)(inputs, outputs, layer.kernel_size, bias=bias, padding_mode=layer.padding_mode, **settings)  # type: ignore[arg-type]


def _along(layer: Convolution, rank: int, dim: int) -> nn.Module:
    """Each channel by itself, along one dimension of the kernel."""

    def only(values: "str | Sequence[int]", neutral: int) -> "str | tuple[int, ...]":
        if isinstance(values, str):
            return values
        return tuple(value if other == dim else neutral for other, value in enumerate(values))

    return type(layer)(
        rank,
        rank,
        only(layer.kernel_size, 1),  # type: ignore[arg-type]
        stride=only(layer.stride, 1),  # type: ignore[arg-type]
        padding=only(layer.padding, 0),  # type: ignore[arg-type]
        dilation=only(layer.dilation, 1),  # type: ignore[arg-type]
        groups=rank,
        bias=False,
        padding_mode=layer.padding_mode,
    )


def _filled(layer: nn.Module, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """In the dtype of a fresh layer, whatever the decomposition was computed in."""
    assert isinstance(layer.weight, Tensor)
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        if bias is not None:
            assert isinstance(layer.bias, Tensor)
            layer.bias.copy_(bias)
    return layer
