"""Evens out the channels that depthwise convolutions read, for layers whose weights have a scale for each channel.

All channels of what a layer reads share one range, and a quiet channel is left few of its levels. Nothing is lost by
making it louder before a depthwise convolution, and quieter within it: a channel of the layer before and one of the
depthwise convolution each have a scale of their own, which takes that in. So of the trade that SmoothQuant (Xiao et
al., 2023) makes between values and weights, here the values get everything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from worker.quantization.activations import Feed, channel_maxima
from worker.quantization.equalization import move_scale
from worker.quantization.weighted_nodes import WeightedNode, only_user_of, producers_in, weighted_nodes

# A channel that was quiet on a few examples may be less so on others: it is made no louder than this, and stays by so
# much below where it would be cut off.
LOUDER, MARGIN = 16, 1.2
_SILENT = 1e-8


def even_out_depthwise(model: onnx.ModelProto, feeds: Iterable[Feed]) -> int:
    """The answers stay the same, on what isn't louder than these examples are. Answers with the number of depthwise
    convolutions."""
    pairs = list(_pairs(model))
    largest = channel_maxima(model, {pair.second.input: 1 for pair in pairs}, feeds) if pairs else {}
    for pair in pairs:
        move_scale(pair.first, pair.second, pair.scale(largest[pair.second.input]))
    return len(pairs)


@dataclass(frozen=True)
class _Pair:
    """`limit` is what values are cut off at between them, or infinite."""

    first: WeightedNode
    second: WeightedNode
    limit: float

    def scale(self, largest: np.ndarray) -> np.ndarray:
        """relu(x / s) = relu(x) / s, and cut off at the limit it is so, too, where x / s stays below it."""
        loud = np.maximum(largest, largest.max() / LOUDER)
        scale = np.maximum(loud / max(loud.max(), _SILENT), MARGIN * largest / self.limit)
        return np.where(largest > _SILENT, np.minimum(scale, 1.0), 1.0)


def _pairs(model: onnx.ModelProto) -> Iterator[_Pair]:
    convolutions = [node for node in weighted_nodes(model) if node.node.op_type == "Conv"]
    by_output = {str(node.node.output[0]): node for node in convolutions}
    producers = producers_in(model.graph)
    for second in convolutions:
        between = producers.get(second.input)
        is_depthwise = second.groups == len(second.weight) > 1
        if between is None or not is_depthwise or only_user_of(model, second.input) is None:
            continue
        limit = _limit(model, between)
        name = str(between.input[0]) if between.op_type in ("Relu", "Clip") else second.input
        first = by_output.get(name)
        if first is not None and limit is not None and _can_move(model, first, name):
            yield _Pair(first, second, limit)


def _can_move(model: onnx.ModelProto, first: WeightedNode, answers: str) -> bool:
    has_bias = len(first.node.input) > 2
    return only_user_of(model, answers) is not None and has_bias == (first.bias is not None)


def _limit(model: onnx.ModelProto, node: NodeProto) -> float | None:
    """None where they are cut off at numbers that aren't known, or otherwise below zero than above."""
    if node.op_type != "Clip":
        return inf
    low, high = (_number(model, str(name)) for name in (*node.input[1:], "", "")[:2])
    return high if low is not None and high and low in (0.0, -high) else None


def _number(model: onnx.ModelProto, name: str) -> float | None:
    stored = [tensor for tensor in model.graph.initializer if tensor.name == name]
    stored += [node.attribute[0].t for node in model.graph.node if node.op_type == "Constant" and name in node.output]
    return float(numpy_helper.to_array(stored[0])) if stored else None
