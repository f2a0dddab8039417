"""What ONNX Runtime's dynamic quantizer has made of each layer, read from the file that it wrote. The ranges of what
goes into a layer aren't in it: they are found anew in each call."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from app.core.details import Value
from worker.exporting.onnx import layer_of
from worker.quantization.layer_table import RoundedWeights
from worker.quantization.stored_in_int8 import STORED
from worker.quantization.weighted_nodes import integer

_Tensors = Mapping[str, TensorProto]
# The names that the quantizer gives what it makes of a tensor.
_CODES, _SCALE, _TURNED = "_quantized", "_scale", "_Transposed"


def dynamic_layer_table(
    nodes: Sequence[NodeProto], exact: ModelProto, quantized: ModelProto, stored: Mapping[str, RoundedWeights]
) -> Iterator[Mapping[str, Value]]:
    """A row for each layer, of which `nodes` are those with weights; one that stays in float32 has its name alone.
    `stored` are layers that are computed with in float32, by name."""
    before, after = _tensors(exact), _tensors(quantized)
    for layer, its in groupby(nodes, layer_of):
        of_layer = list(its)
        is_stored = layer in stored and all(node.op_type in STORED for node in of_layer)
        told = stored[layer] if is_stored else _computed_in_int8(of_layer, before, after)
        if told is None:
            yield {"layer": layer, "bits": 32, "computed_in": "float32"}
        else:
            yield {"layer": layer, "bits": 8, "computed_in": "float32" if is_stored else "int8", **told.row()}


def _tensors(model: onnx.ModelProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _computed_in_int8(nodes: Sequence[NodeProto], before: _Tensors, after: _Tensors) -> RoundedWeights | None:
    """None where the quantizer has made nothing of them."""
    found = [
        (node, before[name], f"{name}{turned}")
        for node in nodes
        for name in node.input[1:3]
        for turned in ("", _TURNED)
        if f"{name}{turned}{_CODES}" in after
    ]
    told = RoundedWeights()
    for node, weight, made in found:
        codes, scales = (numpy_helper.to_array(after[f"{made}{what}"]) for what in (_CODES, _SCALE))
        told.add(_exact(node, weight), codes.astype(np.float32) * _beside(node, scales), scales)
    return told if found else None


def _exact(node: NodeProto, weight: TensorProto) -> np.ndarray:
    """Laid out as the quantizer does: outputs come last."""
    values: np.ndarray = numpy_helper.to_array(weight)
    turned = node.op_type == "LSTM" or (node.op_type == "Gemm" and integer(node, "transB", 0))
    return values.swapaxes(-1, -2) if turned else values


def _beside(node: NodeProto, scales: np.ndarray) -> np.ndarray:
    """An LSTM has them for each of its directions, or for each output of each direction."""
    return scales.reshape(len(scales), 1, -1) if node.op_type == "LSTM" else scales
