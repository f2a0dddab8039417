"""Activations. One row of the table for each operator whose settings are its remaining arguments."""

from collections.abc import Callable

from torch import nn

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Layer, lifts

WITHOUT_SETTINGS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "log_sigmoid": nn.LogSigmoid,
}
WITH_SETTINGS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "hardtanh": (nn.Hardtanh, ("min_val", "max_val")),
    "celu": (nn.CELU, ("alpha",)),
    "softplus": (nn.Softplus, ("beta", "threshold")),
    "threshold": (nn.Threshold, ("threshold", "value")),
    "hardshrink": (nn.Hardshrink, ("lambd",)),
    "softshrink": (nn.Softshrink, ("lambd",)),
    "glu": (nn.GLU, ("dim",)),
}


@lifts(*WITHOUT_SETTINGS)
def activation(call: Call) -> Layer | None:
    return Layer(WITHOUT_SETTINGS[_plain_name(call)](), (call["self"],))


@lifts(*WITH_SETTINGS)
def activation_with_settings(call: Call) -> Layer | None:
    kind, settings = WITH_SETTINGS[_plain_name(call)]
    if not call.are_constant(*settings):
        return None
    values = [call[setting] for setting in settings]
    if kind is nn.Hardtanh and values == [0, 6]:
        return Layer(nn.ReLU6(), (call["self"],))
    return Layer(kind(*values), (call["self"],))


@lifts("elu")
def elu(call: Call) -> Layer | None:
    """A scaled ELU has no module and stays a function."""
    if (call["scale"], call["input_scale"]) != (1, 1):
        return None
    return Layer(nn.ELU(call["alpha"]), (call["self"],))


@lifts("gelu")
def gelu(call: Call) -> Layer | None:
    return Layer(nn.GELU(approximate=call["approximate"]), (call["self"],))


@lifts("prelu")
def prelu(call: Call) -> Layer | None:
    weight = call["weight"]
    if not call.is_stored(weight):
        return None
    return Layer(nn.PReLU(call.stored(weight).numel(), device="meta"), (call["self"],), {"weight": weight})


@lifts("softmax")
def softmax(call: Call) -> Layer | None:
    return Layer(nn.Softmax(call["dim"]), (call["self"],)) if call["dtype"] is None else None


@lifts("log_softmax")
def log_softmax(call: Call) -> Layer | None:
    return Layer(nn.LogSoftmax(call["dim"]), (call["self"],)) if call["dtype"] is None else None


def _plain_name(call: Call) -> str:
    return call.name.removeprefix("aten::")
