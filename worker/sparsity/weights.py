"""The weights that pruning may touch: matrices and kernels of layers. Biases, norms and parameters outside of layers
are left as they are."""

from torch import Tensor, nn

from app.core.recipes import MagnitudePruning
from worker.network import layers_of
from worker.techniques.selection import selected

Tensors = dict[str, Tensor]


def prunable_weights(step: MagnitudePruning, module: nn.Module) -> dict[str, nn.Parameter]:
    """By parameter name; a tied weight once, under its first name. Raises Invalid for a pattern that matches none."""
    layers = {name: weights for name, layer in layers_of(module).items() if (weights := _weights(layer))}
    chosen = {id(weight) for name in selected(step, layers) for weight in layers[name]}
    return {name: parameter for name, parameter in module.named_parameters() if id(parameter) in chosen}


def _weights(layer: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in layer.parameters(recurse=False) if parameter.ndim >= 2]


def matrix(weight: Tensor) -> Tensor:
    """(outputs, inputs): a kernel's positions count as inputs."""
    return weight.detach().flatten(1)
