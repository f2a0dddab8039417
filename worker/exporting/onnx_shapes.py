"""Shapes of an ONNX graph's values."""

from collections.abc import Mapping

import onnx
from onnx import helper

from worker.exporting.onnx_weights import has_branches, without_weights

Shapes = Mapping[str, onnx.TypeProto]


def shapes_in(model: onnx.ModelProto) -> Shapes:
    """By name, of inputs, stored tensors, answers, and of what lies between them as far as it can be inferred."""
    graph = onnx.shape_inference.infer_shapes(without_weights(model), data_prop=True).graph
    stored = {w.name: helper.make_tensor_type_proto(w.data_type, list(w.dims)) for w in model.graph.initializer}
    return stored | {
        each.name: each.type for each in (*graph.input, *graph.value_info, *graph.output) if _is_known(each)
    }


def describe_shapes(model: onnx.ModelProto, known: Shapes) -> None:
    """What follows from inputs has its shape beside it. `known` are those of values before the graph was changed:
    behind operators that aren't ONNX's own, none can be inferred. Constants and what weights are unpacked by need
    none, and there are many of them in a small file."""
    described = {each.name for each in (*model.graph.value_info, *model.graph.output)}
    kept = [name for node in model.graph.node for name in node.output if name in known and name not in described]
    model.graph.value_info.extend(helper.make_value_info(name, known[name]) for name in kept)
    # Without propagation of data: each value of an unpacked weight would count as a size, and take 200 bytes.
    inferred = onnx.shape_inference.infer_shapes(without_weights(model)).graph
    for field in ("node", "value_info", "output"):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(getattr(inferred, field))
    _forget_constants(model.graph)


def _forget_constants(graph: onnx.GraphProto) -> None:
    if has_branches(graph):
        return  # those read values that their nodes don't name
    following = {each.name for each in graph.input}
    for node in graph.node:
        following |= set(node.output) if following & set(node.input) else set()
    described = [each for each in graph.value_info if each.name in following]
    graph.ClearField("value_info")
    graph.value_info.extend(described)


def _is_known(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.HasField("shape"))
