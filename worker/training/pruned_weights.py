"""Weights that pruning set to zero stay zero while others are trained."""

import torch
from torch import Tensor, nn

from app.core.recipes import MagnitudePruning
from worker.network import Network, layers_of


class PrunedWeights:
    """The zeros in the weights of `network`'s layers after a step that prunes single weights; else none.

    Which zeros a step set isn't recorded: after such a step every zero counts, for a trained weight is never exactly 0.
    """

    def __init__(self, network: Network) -> None:
        pruned = any(isinstance(step, MagnitudePruning) for step in network.steps)
        self._masks = _zeros(network.module) if pruned else {}

    def hold_in(self, module: nn.Module) -> None:
        """Sets them to zero again, whatever momentum or weight decay made of them. `module` is a copy of the
        network's: its parameters have the same names."""
        with torch.no_grad():
            for name, mask in self._masks.items():
                module.get_parameter(name).masked_fill_(mask, 0)


def _zeros(module: nn.Module) -> dict[str, Tensor]:
    weights = {
        f"{path}.{name}": parameter
        for path, layer in layers_of(module).items()
        for name, parameter in layer.named_parameters(recurse=False)
        if parameter.ndim >= 2
    }
    masks = {name: weight == 0 for name, weight in weights.items()}
    return {name: mask for name, mask in masks.items() if mask.any()}
