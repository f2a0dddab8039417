"""Calibration examples without data: Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, 2020.

A batch norm remembers the mean and the variance that its inputs had in training. Inputs that give every batch norm
what it remembers make activations as large as those of training, which is what ranges are found on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
import torch
from torch import Tensor, nn

from app.core.errors import Invalid
from app.core.recipes import StaticQuantization
from worker.counting import count
from worker.data import Examples
from worker.inputs import random_inputs
from worker.network import Network
from worker.run import Run

BatchNorm = nn.modules.batchnorm._BatchNorm
MOST_EXAMPLES, FEWEST_EXAMPLES = 32, 8
# Of numbers in all inputs together: the activations of all layers are kept for the gradient.
MOST_NUMBERS = 1 << 21
MOST_STEPS, FEWEST_STEPS = 200, 20
# So many take a processor some minutes; a step costs three times what answering does.
MOST_MACS = 1e12
LEARNING_RATE = 0.1
# Of each batch norm, on average: means and deviations are off by a tenth of a deviation or less.
NEAR_ENOUGH = 0.01
# Nothing says whether a network takes numbers about 0 to 1 or 0 to 255.
SCALES = (0.01, 0.1, 1.0, 10.0, 100.0)
UNVERIFIED = (
    "There was no data set: {step} found its ranges on {examples} made-up examples, which give the network's {norms} "
    "batch norms the means and variances that they remember from training (ZeroQ). How the file answers real inputs is "
    "unverified; send a data set to know."
)


def made_up_examples(step: StaticQuantization, network: Network, run: Run) -> Examples:
    """Without labels. Raises Invalid for a network without batch norms, or without an input of real numbers."""
    norms = _batch_norms(network.module)
    if not norms or not any(spec.dtype.startswith(("float", "bfloat")) for spec in network.inputs):
        raise _needs_data(step)
    with _Distances(norms) as distances:
        inputs = _Search(network, run, distances).found(step.examples)
    run.warn(UNVERIFIED.format(step=step.technique, examples=len(inputs[0]), norms=len(norms)))
    arrays = {spec.name: tensor.numpy() for spec, tensor in zip(network.inputs, inputs, strict=True)}
    return Examples(arrays, None, np.arange(len(inputs[0])))


def _batch_norms(module: nn.Module) -> list[BatchNorm]:
    """Those that remember anything."""
    found = (layer for layer in module.modules() if isinstance(layer, BatchNorm))
    return [layer for layer in found if layer.running_mean is not None and layer.running_var is not None]


class _Distances:
    """How far the inputs of each batch norm are, in the last call of the network, from what it remembers: squared, in
    units of the standard deviation that it remembers, the mean over channels."""

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        self._norms = norms
        self._of: dict[BatchNorm, Tensor] = {}

    def __enter__(self) -> "_Distances":
        self._hooks = [norm.register_forward_pre_hook(self._measure) for norm in self._norms]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def __len__(self) -> int:
        return len(self._norms)

    def total(self) -> Tensor:
        return torch.stack(list(self._of.values())).sum()

    def _measure(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        channels = inputs[0].transpose(0, 1).flatten(1)
        spread = (norm.running_var + norm.eps).sqrt()
        mean = (channels.mean(1) - norm.running_mean) / spread
        deviation = (channels.var(1, unbiased=False) + norm.eps).sqrt() / spread - 1
        self._of[norm] = mean.square().mean() + deviation.square().mean()


@dataclass(frozen=True)
class _Search:
    network: Network
    run: Run
    distances: _Distances

    def found(self, examples: int) -> tuple[Tensor, ...]:
        start = self._start(examples)
        scale = min(SCALES, key=lambda each: self._distance(self._scaled(start, each)))
        moved = [one.requires_grad_() if one.is_floating_point() else one for one in start]
        free = [one for one in moved if one.requires_grad]
        optimizer = torch.optim.Adam(free, lr=LEARNING_RATE)
        distances = list[float]()
        steps = self._affordable_steps(len(start[0]))
        while len(distances) < steps and not self._are_near_enough(distances):
            self.run.progress(0.5 * len(distances) / steps, "Making up calibration examples")
            distance = self._total(self._scaled(moved, scale))
            distances.append(distance.item())
            for one, gradient in zip(free, torch.autograd.grad(distance, free), strict=True):
                one.grad = gradient
            optimizer.step()
        inputs = tuple(one.detach() for one in self._scaled(moved, scale))
        self._tell(len(start[0]), distances, self._distance(inputs))
        return inputs

    def _are_near_enough(self, distances: Sequence[float]) -> bool:
        return bool(distances) and distances[-1] <= NEAR_ENOUGH * len(self.distances)

    def _start(self, examples: int) -> tuple[Tensor, ...]:
        numbers = sum(one.numel() for one in random_inputs(self.network.inputs, 1, self.run.seed))
        most = max(FEWEST_EXAMPLES, min(MOST_EXAMPLES, MOST_NUMBERS // numbers))
        return random_inputs(self.network.inputs, min(examples, most), self.run.seed)

    def _affordable_steps(self, examples: int) -> int:
        affordable = int(MOST_MACS / max(1, 3 * examples * count(self.network).macs))
        return max(FEWEST_STEPS, min(MOST_STEPS, affordable))

    def _scaled(self, inputs: Sequence[Tensor], scale: float) -> list[Tensor]:
        return [scale * one if one.is_floating_point() else one for one in inputs]

    def _total(self, inputs: Sequence[Tensor]) -> Tensor:
        self.network.module(*inputs)
        return self.distances.total()

    def _distance(self, inputs: Sequence[Tensor]) -> float:
        with torch.no_grad():
            distance = self._total(inputs).item()
        return distance if isfinite(distance) else inf

    def _tell(self, examples: int, distances: Sequence[float], after: float) -> None:
        self.run.detail(
            "Made-up examples",
            examples=examples,
            batch_norms=len(self.distances),
            steps=len(distances),
            distance_before=distances[0],
            distance_after=after,
        )


def _needs_data(step: StaticQuantization) -> Invalid:
    return Invalid(
        "The job names no data set, and the network has no batch norm that remembers anything, or no input of real "
        f"numbers: {step.technique} can't make up calibration examples for it. Upload a data set with POST "
        "/v1/datasets and name it in `dataset`, or take dynamic_quantization or weight_quantization, which need none.",
        code="dataset_required",
        title="A step needs data",
    )
