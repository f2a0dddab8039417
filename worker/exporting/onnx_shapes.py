"""Shapes of an ONNX graph's values."""

import onnx


def shapes_in(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """By name, of inputs, stored tensors, answers, and of what lies between them as far as it can be inferred."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    stored = {w.name: onnx.helper.make_tensor_type_proto(w.data_type, list(w.dims)) for w in graph.initializer}
    return stored | {
        each.name: each.type for each in (*graph.input, *graph.value_info, *graph.output) if _has_rank(each)
    }


def _has_rank(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.HasField("shape"))
