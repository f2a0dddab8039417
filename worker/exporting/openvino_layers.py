"""Which of a network's layers an operation of OpenVINO computes for.

Operations bear the names of the ONNX nodes that they were made of (`/layer1/0/conv1/Conv`); those that a node was
split into come before the one that has its name, with names of their own or with an ending.
"""

from collections.abc import Collection, Iterator
from typing import Any

from worker.exporting.onnx import layer_named

# At which of its inputs an operation takes the weights that it multiplies or looks up.
WEIGHTS_AT = {
    "MatMul": 1,
    "Convolution": 1,
    "GroupConvolution": 1,
    "ConvolutionBackpropData": 1,
    "GroupConvolutionBackpropData": 1,
    "Gather": 0,
}
INTEGERS = {"i8": 8, "u8": 8, "i4": 4, "u4": 4}
_UNPACKING = frozenset({"Convert", "Subtract", "Multiply", "Reshape", "Transpose"})
_OF_A_NODE = "/"
_ENDING = "/WithoutBiases"


def layers_of_operation(operation: Any) -> frozenset[str]:
    """Names of layers; "" stands for what belongs to none."""
    return frozenset(layer_named(name.removesuffix(_ENDING)) for name in _names(operation))


def operations_of(model: Any, layers: Collection[str]) -> list[str]:
    """Names of the operations that compute for `layers`, constants left out."""
    operations = (each for each in model.get_ordered_ops() if each.get_type_name() != "Constant")
    return [str(each.get_friendly_name()) for each in operations if layers_of_operation(each) & set(layers)]


def stored_weight(operation: Any) -> Any | None:
    """The constant of the file that an operation's weights are unpacked from; None where it reads what is computed."""
    place = WEIGHTS_AT.get(operation.get_type_name())
    node = None if place is None else operation.input_value(place).get_node()
    while node is not None and node.get_type_name() in _UNPACKING:
        node = node.input_value(0).get_node()
    return node if node is not None and node.get_type_name() == "Constant" else None


def _names(operation: Any) -> Iterator[str]:
    name = operation.get_friendly_name()
    if name.startswith(_OF_A_NODE):
        yield name
        return
    for output in operation.outputs():
        for reader in output.get_target_inputs():
            yield from _names(reader.get_node())
