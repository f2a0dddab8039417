"""Magnitude pruning: Han et al., Learning both Weights and Connections for Efficient Neural Networks, 2015."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from app.core.recipes import MagnitudePruning
from worker.network import Network, layers_of
from worker.run import Run
from worker.techniques import apply
from worker.techniques.selection import selected

ZEROS_ARE_NOT_FASTER = (
    "Pruned weights are stored as zeros: they make a file compress better, and neither its size nor its time shrinks "
    "by itself."
)


@apply.register
def magnitude_pruning(step: MagnitudePruning, network: Network, run: Run) -> Network:
    """Biases, norms and parameters outside of layers are left as they are."""
    module = deepcopy(network.module)
    weights = {name: _weights(layer) for name, layer in layers_of(module).items() if _weights(layer)}
    chosen = _distinct(tensor for name in selected(step, weights) for tensor in weights[name])
    generator = torch.Generator().manual_seed(run.seed)
    with torch.no_grad():
        if step.scope == "global":
            _prune(step, chosen, generator)
        else:
            for number, weight in enumerate(chosen):
                run.progress(number / len(chosen), "Setting the smallest weights to zero")
                _prune(step, [weight], generator)
    run.warn(ZEROS_ARE_NOT_FASTER)
    return replace(network, module=module)


def _weights(layer: nn.Module) -> list[Tensor]:
    return [parameter for parameter in layer.parameters(recurse=False) if parameter.ndim >= 2]


def _distinct(weights: Iterable[Tensor]) -> list[Tensor]:
    """Tied weights once."""
    return list({id(weight): weight for weight in weights}.values())


def _prune(step: MagnitudePruning, weights: list[Tensor], generator: torch.Generator) -> None:
    """The weights of lowest score become zero; together, so that layers of small weights lose more."""
    if not weights:
        return
    if step.threshold is not None:
        for weight in weights:
            weight[weight.abs() < step.threshold] = 0
        return
    scores = torch.cat([_scores(step, weight, generator).flatten() for weight in weights])
    removed = torch.zeros(len(scores), dtype=torch.bool)
    removed[scores.topk(round(step.amount * len(scores)), largest=False, sorted=False).indices] = True
    masks = torch.split(removed, [weight.numel() for weight in weights])
    for weight, mask in zip(weights, masks, strict=True):
        weight[mask.view_as(weight)] = 0


def _scores(step: MagnitudePruning, weight: Tensor, generator: torch.Generator) -> Tensor:
    if step.criterion == "random":
        return torch.rand(weight.shape, generator=generator)
    return weight.abs() if step.criterion == "l1" else weight.square()
