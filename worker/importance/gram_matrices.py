"""E[x x'] of what the weights of each layer multiply, over training examples: of one size, whatever their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from worker.example_checks import too_large
from worker.importance.examples import example_batches
from worker.importance.input_statistics import BATCH_SIZE, EXAMPLES
from worker.network import Network
from worker.run import Run

# A matrix of more than 8192 x 8192 would take more than 256 MB.
_MOST_INPUTS = 8192


@dataclass(frozen=True)
class InputGram:
    """`matrix` has the shape (groups, in, in); `observations` counts examples and positions."""

    matrix: Tensor
    observations: int


def gram_matrices(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, Tensor]:
    """As `input_grams`, without their observations."""
    return {name: gram.matrix for name, gram in input_grams(network, run, examples).items()}


def input_grams(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, InputGram]:
    """By weight name: for Linear layers and convolutions of up to 8192 inputs, in one or two dimensions. Needs
    `run.data`."""
    recorder = _Recorder(network.module)
    with torch.no_grad():
        for inputs, _ in example_batches(network, run, examples, BATCH_SIZE):
            recorder.run(*inputs)
    counts = recorder.counts
    for name, total in recorder.totals.items():
        if not total.isfinite().all():
            raise too_large(f"products of what {name} takes are beyond float32")
    return {name: InputGram(total / counts[name], counts[name]) for name, total in recorder.totals.items()}


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.totals: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        columns = _columns(self.submodules[target], args)
        if columns is not None:
            name = f"{target}.weight"
            self.totals[name] = self.totals.get(name, torch.zeros(())) + columns @ columns.mT
            self.counts[name] = self.counts.get(name, 0) + columns.shape[-1]
        return super().call_module(target, args, kwargs)


def _columns(layer: nn.Module, inputs: tuple[Any, ...]) -> Tensor | None:
    """[groups, in, positions]"""
    if isinstance(layer, nn.Linear) and layer.in_features <= _MOST_INPUTS:
        rows: Tensor = inputs[0].reshape(-1, layer.in_features)
        return rows.T.unsqueeze(0)
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.weight[0].numel() <= _MOST_INPUTS:
        return _patches_of(layer, inputs[0])
    return None


def _patches_of(layer: nn.Conv1d | nn.Conv2d, values: Tensor) -> Tensor:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    values = functional.pad(values, layer._reversed_padding_repeated_twice, mode)
    one = isinstance(layer, nn.Conv1d)
    if one:
        values = values.unsqueeze(-2)
    sizes = [(1, *each) if one else each for each in (layer.kernel_size, layer.dilation, layer.stride)]
    return patches(values, sizes[0], dilation=sizes[1], stride=sizes[2], groups=layer.groups)


def patches(
    values: Tensor, kernel: Sequence[int], *, dilation: Sequence[int], stride: Sequence[int], groups: int
) -> Tensor:
    """What a convolution of two dimensions multiplies its weights with, of inputs that are padded already: [groups,
    in / groups x kernel, examples x positions]."""
    unfolded = functional.unfold(values, tuple(kernel), dilation=tuple(dilation), stride=tuple(stride))
    return unfolded.transpose(0, 1).reshape(groups, unfolded.shape[1] // groups, -1)
