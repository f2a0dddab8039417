"""A description of a network -> that network with random weights, editable."""

import torch
from torch import fx, nn

from app.core.architectures import Architecture
from app.core.errors import Invalid
from app.core.inputs import InputSpec
from worker.architectures import untrained
from worker.architectures.by_name import ByName
from worker.inputs import random_inputs
from worker.loading import NotEditable, Opened


def untrained_network(architecture: Architecture, inputs: tuple[InputSpec, ...]) -> fx.GraphModule:
    """Weights are drawn from torch's generator. Raises Invalid where the network can't be built, doesn't take these
    inputs, or can't be edited."""
    module = untrained(architecture)
    if isinstance(module, ByName) and len(inputs) > 1:
        module.take([spec.name for spec in inputs])
    _check_takes(module, inputs)
    try:
        return Opened(module, inputs, "given", widened=False, doubtful=False).editable().module
    except NotEditable as error:
        raise Invalid(
            f"The described network can't be edited: {error.blockers[0].advice} Describe another one.",
            code="not_editable",
            title="The network can't be edited",
        ) from error


def _check_takes(module: nn.Module, inputs: tuple[InputSpec, ...]) -> None:
    try:
        with torch.inference_mode():
            module(*random_inputs(inputs, 2, seed=0))
    except Exception as error:
        described = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        raise Invalid(
            f"The described network can't take the inputs that it would be given: {described}. Correct its first "
            "layer's arguments, or those of the layers behind it.",
            code="inputs_do_not_fit",
            title="The architecture doesn't fit the inputs",
        ) from error
