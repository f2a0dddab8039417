"""New weights for old shapes."""

from collections.abc import Collection, Iterable

import torch
from torch import nn

from worker.network import layers_of

# Else a network that its owner trained from seed 0 would begin with its own first weights.
_OTHER_SEEDS = 0x5EED_0000


def initialize(module: nn.Module, layers: Collection[str] | None, seed: int) -> None:
    """Each of these layers (None: all) starts as torch's own class does; where that has no rule, and for parameters
    outside of layers, with normal numbers of the mean and the spread that the old ones have."""
    named = layers_of(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed + _OTHER_SEEDS)
        if layers is None:
            inside = {id(one) for layer in named.values() for one in layer.parameters(recurse=False)}
            _draw(parameter for parameter in module.parameters() if id(parameter) not in inside)
        for name in named if layers is None else layers:
            _initialize(named[name])


def _initialize(layer: nn.Module) -> None:
    reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    if callable(reset):
        reset()
    else:
        _draw(layer.parameters(recurse=False))


def _draw(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.normal_(parameter.mean().item(), parameter.std(correction=0).item())
