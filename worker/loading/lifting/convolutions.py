"""Convolutions, plain and transposed, in one to three dimensions."""

from collections.abc import Callable
from typing import Any

from torch import nn

from worker.loading.lifting.call import Call, repeated
from worker.loading.lifting.layer import Layer, lifts

PLAIN: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SETTINGS = ("stride", "padding", "dilation", "groups")


@lifts("_convolution", "_convolution_mode", "convolution", "conv1d", "conv2d", "conv3d")
@lifts("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution(call: Call) -> Layer | None:
    weight, bias = call["weight"], call["bias"]
    if not (call.is_stored(weight) and call.are_stored(bias) and call.are_constant(*SETTINGS)):
        return None
    is_transposed = call.name.startswith("aten::conv_transpose") or ("transposed" in call and call["transposed"])
    module = _transposed(call) if is_transposed else _plain(call)
    return Layer(module, (call["input"],), {"weight": weight, "bias": bias})


def _plain(call: Call) -> nn.Module:
    outputs, inputs_in_group, *kernel = call.stored(call["weight"]).shape
    settings = _settings(call, len(kernel))
    inputs = inputs_in_group * settings["groups"]
    return PLAIN[len(kernel)](inputs, outputs, tuple(kernel), **settings)


def _transposed(call: Call) -> nn.Module:
    inputs, outputs_in_group, *kernel = call.stored(call["weight"]).shape
    settings = _settings(call, len(kernel))
    outputs = outputs_in_group * settings["groups"]
    output_padding = repeated(call["output_padding"], len(kernel))
    return TRANSPOSED[len(kernel)](inputs, outputs, tuple(kernel), output_padding=output_padding, **settings)


def _settings(call: Call, dimensions: int) -> dict[str, Any]:
    padding = call["padding"]
    return {
        "stride": repeated(call["stride"], dimensions),
        "padding": padding if isinstance(padding, str) else repeated(padding, dimensions),
        "dilation": repeated(call["dilation"], dimensions),
        "groups": call["groups"],
        "bias": call["bias"] is not None,
        "device": "meta",
    }
