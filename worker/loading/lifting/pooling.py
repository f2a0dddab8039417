"""Pooling over windows and to a given size."""

import operator
from typing import Any

from torch import fx, nn

from worker.loading.lifting.call import Call, repeated
from worker.loading.lifting.layer import Layer, lifts

WINDOW = ("kernel_size", "stride", "padding")
MAXIMUM = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE = {
    "aten::adaptive_avg_pool1d": nn.AdaptiveAvgPool1d,
    "aten::adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "aten::adaptive_avg_pool3d": nn.AdaptiveAvgPool3d,
    "aten::adaptive_max_pool1d": nn.AdaptiveMaxPool1d,
    "aten::adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
    "aten::adaptive_max_pool3d": nn.AdaptiveMaxPool3d,
}


@lifts("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(call: Call) -> Layer | None:
    if not call.are_constant(*WINDOW, "dilation", "ceil_mode"):
        return None
    dimensions = int(call.name[-2])
    settings = _window(call, dimensions) | {"dilation": repeated(call["dilation"], dimensions)}
    return Layer(MAXIMUM[dimensions](**settings), (call["self"],))


@lifts("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(call: Call) -> Layer | None:
    if not call.are_constant(*WINDOW, "ceil_mode", "count_include_pad"):
        return None
    dimensions = int(call.name[-2])
    settings = _window(call, dimensions) | {"count_include_pad": call["count_include_pad"]}
    if dimensions > 1:
        settings["divisor_override"] = call["divisor_override"]
    return Layer(AVERAGE[dimensions](**settings), (call["self"],))


@lifts("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Layer | None:
    if not call.are_constant("output_size"):
        return None
    size = tuple(call["output_size"])
    return Layer(ADAPTIVE[call.name](size if len(size) > 1 else size[0]), (call["self"],))


@lifts("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(call: Call) -> Layer | None:
    """Where nobody reads the positions of the largest numbers."""
    if not call.are_constant("output_size") or not all(_reads_values(user) for user in call.node.users):
        return None
    size = tuple(call["output_size"])
    return Layer(ADAPTIVE[call.name](size if len(size) > 1 else size[0]), (call["self"],), rewire=_answer_values_alone)


def _reads_values(reader: fx.Node) -> bool:
    return reader.target is operator.getitem and (reader.args[1:] == (0,) or not reader.users)


def _answer_values_alone(graph: fx.Graph, layer: fx.Node) -> dict[fx.Node, fx.Node]:
    readers = list(layer.users)
    for reader in readers:
        reader.replace_all_uses_with(layer)
        graph.erase_node(reader)
    return dict.fromkeys(readers, layer)


def _window(call: Call, dimensions: int) -> dict[str, Any]:
    kernel = repeated(call["kernel_size"], dimensions)
    return {
        "kernel_size": kernel,
        "stride": repeated(call["stride"], dimensions) if call["stride"] else kernel,
        "padding": repeated(call["padding"], dimensions),
        "ceil_mode": call["ceil_mode"],
    }
