"""What NNCF has done to each layer of an OpenVINO model, read from its constants and its operators that round."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from app.core.details import Value
from worker.exporting.openvino_layers import INTEGERS, WEIGHTS_AT, layers_of_operation, stored_weight
from worker.quantization.layer_table import of_inputs, of_weights
from worker.quantization.ranges import Grid

# Their weights come through operators that NNCF doesn't look behind: it would round what goes in, and gain nothing.
RECURRENT = ("LSTMSequence", "GRUSequence", "RNNSequence")
# What is rounded before them is rounded behind them, too.
_MOVING = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "MaxPool"})


def openvino_layer_table(exact: Any, rounded: Any) -> Iterator[Mapping[str, Value]]:
    """Of two models with the same names of operations, a row for each layer with weights; of one that stays in float32
    its name alone. A weight that another was smoothed into is told from what it was before."""
    before = {each.get_friendly_name(): each for each in exact.get_ops()}
    for operation in rounded.get_ordered_ops():
        weight, layers = stored_weight(operation), layers_of_operation(operation) - {""}
        if not layers or (weight is None and operation.get_type_name() not in RECURRENT):
            continue
        row: dict[str, Value] = {"layer": ", ".join(sorted(layers)), "bits": 32}
        if weight is not None and (bits := INTEGERS.get(weight.get_element_type().get_type_name())):
            told = of_weights(_weight(before[operation.get_friendly_name()]), _weight(operation), _scales(operation))
            row |= {"bits": bits, **told, **_inputs(operation)}
        yield row


def _weight(operation: Any) -> np.ndarray:
    """As it is multiplied with."""
    return _unpacked(operation.input_value(WEIGHTS_AT[operation.get_type_name()]).get_node())


def _unpacked(node: Any) -> np.ndarray:
    """What the operators between a constant and its reader make of it: OpenVINO would compile them for each weight."""
    kind = node.get_type_name()
    if kind == "Constant":
        stored: np.ndarray = node.get_data(dtype=np.float32)
        return stored
    values = _unpacked(node.input_value(0).get_node())
    if kind in ("Subtract", "Multiply"):
        combine = np.subtract if kind == "Subtract" else np.multiply
        return np.asarray(combine(values, _unpacked(node.input_value(1).get_node())))
    if kind == "Transpose":
        return values.transpose(node.input_value(1).get_node().data)
    return values.reshape(tuple(node.get_output_shape(0)))


def _scales(operation: Any) -> np.ndarray:
    node = operation.input_value(WEIGHTS_AT[operation.get_type_name()]).get_node()
    while node.get_type_name() != "Multiply":
        node = node.input_value(0).get_node()
    scales: np.ndarray = node.input_value(1).get_node().data
    return scales


def _inputs(operation: Any) -> dict[str, Value]:
    node = operation.input_value(0).get_node()
    while node.get_type_name() in _MOVING:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize":
        return {}
    low, high = (float(node.input_value(place).get_node().data.ravel()[0]) for place in (1, 2))
    return of_inputs(Grid(low, high))
