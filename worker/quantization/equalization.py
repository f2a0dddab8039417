"""Cross-layer equalization: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction,
2019."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from worker.quantization.weighted_nodes import WeightedNode, only_user_of, weighted_nodes

_SWEEPS = 10
_SMALLEST = 1e-8


def equalize(model: onnx.ModelProto) -> int:
    """Moves scale between layers that follow one another, so that their channels' ranges become alike.

    relu(s x) = s relu(x) for s > 0: a channel may be divided by s in one layer and multiplied in the next, and the
    answers stay the same. Answers with the number of pairs.
    """
    pairs = list(_pairs(model))
    for _ in range(_SWEEPS):
        for first, second in pairs:
            _balance(first, second)
    return len(pairs)


def _pairs(model: onnx.ModelProto) -> Iterator[tuple[WeightedNode, WeightedNode]]:
    nodes = list(weighted_nodes(model))
    by_input = {node.input: node for node in nodes}
    for first in nodes:
        second = by_input.get(_behind_relu(model, str(first.node.output[0])))
        if second is not None and _fit(first, second) and only_user_of(model, second.input) is not None:
            yield first, second


def _behind_relu(model: onnx.ModelProto, name: str) -> str:
    user = only_user_of(model, name)
    return str(user.output[0]) if user is not None and user.op_type == "Relu" else name


def _fit(first: WeightedNode, second: WeightedNode) -> bool:
    """A MatMul's bias stands in a node of its own, which hides the pair; a convolution may be depthwise or whole."""
    same_kind = first.node.op_type == second.node.op_type != "MatMul"
    return same_kind and second.groups in (1, len(first.weight)) and len(first.weight) == _inputs(second)


def _inputs(node: WeightedNode) -> int:
    return int(node.weight.shape[1] * node.groups)


def _balance(first: WeightedNode, second: WeightedNode) -> None:
    before, after = _ranges(first.weight, 0), _ranges(second.weight, 0 if second.groups > 1 else 1)
    alive = (before > _SMALLEST) & (after > _SMALLEST)
    scale = np.where(alive, np.sqrt(before / np.maximum(after, _SMALLEST)), 1.0)
    scale = np.where(scale > 0, scale, 1.0)
    move_scale(first, second, scale)


def move_scale(first: WeightedNode, second: WeightedNode, scale: np.ndarray) -> None:
    """Divides the channels that the first answers with, and multiplies what the second does with them."""
    first.store(first.weight / _along(scale, first.weight, 0))
    if first.bias is not None:
        first.store_bias(numpy_helper.to_array(first.bias) / scale)
    second.store(second.weight * _along(scale, second.weight, 0 if second.groups > 1 else 1))


def _ranges(weight: np.ndarray, axis: int) -> np.ndarray:
    over = tuple(other for other in range(weight.ndim) if other != axis)
    largest: np.ndarray = np.abs(weight).max(axis=over)
    return largest


def _along(scale: np.ndarray, weight: np.ndarray, axis: int) -> np.ndarray:
    return scale.reshape([-1 if other == axis else 1 for other in range(weight.ndim)])
