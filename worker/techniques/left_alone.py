"""The other side of a step's choice of layers."""

from torch import nn

from app.core.recipes import Step
from worker.network import layers_of
from worker.techniques.selection import selected


def layers_left_alone(step: Step, module: nn.Module) -> frozenset[str]:
    """Those with parameters that the step must not touch; "" stands for what belongs to no layer."""
    layers = [name for name, layer in layers_of(module).items() if any(True for _ in layer.parameters(recurse=False))]
    outside = {""} if step.only else set()
    return frozenset({*layers} - {*selected(step, layers)} | outside)
