"""Which weights a training may change."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch import nn

from worker.network import layers_of


def trainable_layers(module: nn.Module) -> list[str]:
    return [name for name, layer in layers_of(module).items() if any(True for _ in layer.parameters(recurse=False))]


@contextmanager
def trained_only(module: nn.Module, layers: Collection[str] | None) -> Iterator[None]:
    """Within, gradients flow to these layers alone; None: to every parameter, those outside of layers too."""
    before = {parameter: parameter.requires_grad for parameter in module.parameters()}
    chosen = set(module.parameters()) if layers is None else _parameters_of(module, layers)
    try:
        for parameter in before:
            parameter.requires_grad_(parameter in chosen)
        yield
    finally:
        for parameter, required in before.items():
            parameter.requires_grad_(required)
            parameter.grad = None


def _parameters_of(module: nn.Module, layers: Collection[str]) -> set[nn.Parameter]:
    named = layers_of(module)
    return {parameter for name in layers for parameter in named[name].parameters(recurse=False)}


def to_training_mode(module: nn.Module) -> None:
    """Dropout drops and batch norms learn, but for batch norms that are left alone: their statistics stay too."""
    module.train()
    for layer in module.modules():
        parameters = list(layer.parameters(recurse=False))
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and parameters and not parameters[0].requires_grad:
            layer.eval()
