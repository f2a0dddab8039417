"""The stored tensors of an ONNX graph, the graph without them, and whether all that is read stands at its top."""

from math import prod

import onnx
from onnx import helper

# Sizes and what is made of them are few; weights aren't looked at.
MOST_NUMBERS = 256


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which inputs stand for them: they have no bearing on shapes, and copying large ones takes long."""
    graph = model.graph
    weights = [each for each in graph.initializer if not is_small(each)]
    stand_ins = [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights]
    light = helper.make_graph(
        graph.node,
        graph.name,
        [*graph.input, *stand_ins],
        graph.output,
        [each for each in graph.initializer if is_small(each)],
        value_info=graph.value_info,
    )
    return helper.make_model(
        light, opset_imports=model.opset_import, functions=model.functions, ir_version=model.ir_version
    )


def is_small(stored: onnx.TensorProto) -> bool:
    return bool(prod(stored.dims) <= MOST_NUMBERS)


def has_branches(graph: onnx.GraphProto) -> bool:
    return any(attribute.HasField("g") for node in graph.node for attribute in node.attribute)
