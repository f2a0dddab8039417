"""The weights that pruning may touch: matrices and kernels of layers. Biases, norms and parameters outside of layers
are left as they are."""

from collections.abc import Iterable

from torch import Tensor, nn

from worker.network import layers_of

Tensors = dict[str, Tensor]


def prunable_layers(module: nn.Module) -> list[str]:
    return [name for name, layer in layers_of(module).items() if _weights(layer)]


def weights_of(layers: Iterable[str], module: nn.Module) -> dict[str, nn.Parameter]:
    """By parameter name; a tied weight once, under its first name."""
    named = layers_of(module)
    chosen = {id(weight) for layer in layers for weight in _weights(named[layer])}
    return {name: parameter for name, parameter in module.named_parameters() if id(parameter) in chosen}


def _weights(layer: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in layer.parameters(recurse=False) if parameter.ndim >= 2]


def matrix(weight: Tensor) -> Tensor:
    """(outputs, inputs): a kernel's positions count as inputs."""
    return weight.detach().flatten(1)
