"""The convolutions and linear layers of an ONNX graph, with their weights as they were in torch: [out, in / groups,
*kernel]."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})


@dataclass(frozen=True)
class WeightedNode:
    """A node whose weights and bias no other node uses. `stored_transposed`: the file holds them as [in, out].

    `bias` is the stored vector that is added to the outputs: the node's own, or that of an Add behind a MatMul.
    """

    node: NodeProto
    weights: TensorProto
    bias: TensorProto | None
    stored_transposed: bool
    groups: int = 1

    @property
    def weight(self) -> np.ndarray:
        stored: np.ndarray = numpy_helper.to_array(self.weights)
        return stored.T if self.stored_transposed else stored

    def store(self, weight: np.ndarray) -> None:
        replace_values(self.weights, weight.T if self.stored_transposed else weight)

    def store_bias(self, bias: np.ndarray) -> None:
        assert self.bias is not None
        replace_values(self.bias, bias)

    @property
    def input(self) -> str:
        return str(self.node.input[0])

    @property
    def channel_axis(self) -> int:
        """Where the input's channels or features stand."""
        return 1 if self.node.op_type == "Conv" else -1


def weighted_nodes(model: onnx.ModelProto) -> Iterator[WeightedNode]:
    """In the graph's order. Weights that several nodes share, or that aren't float32, are left out."""
    stored = only_once_used(model)
    for node in model.graph.node:
        weights = stored.get(node.input[1]) if node.op_type in WEIGHTED else None
        if weights is not None and weights.data_type == TensorProto.FLOAT and _is_layer(node, weights):
            transposed = node.op_type == "MatMul" or (node.op_type == "Gemm" and not integer(node, "transB", 0))
            yield WeightedNode(node, weights, _bias(node, model, stored), transposed, integer(node, "group", 1))


def only_once_used(model: onnx.ModelProto) -> dict[str, TensorProto]:
    """Stored tensors by name."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    return {tensor.name: tensor for tensor in model.graph.initializer if uses[tensor.name] == 1}


def producers_in(graph: GraphProto) -> dict[str, NodeProto]:
    """By what they answer with."""
    return {name: node for node in graph.node for name in node.output}


def users_of(model: onnx.ModelProto, name: str) -> list[NodeProto]:
    return [node for node in model.graph.node if name in node.input]


def only_user_of(model: onnx.ModelProto, name: str) -> NodeProto | None:
    """None where several nodes read it, or whoever calls the network does."""
    users = users_of(model, name)
    return users[0] if len(users) == 1 and not is_answer(model, name) else None


def is_answer(model: onnx.ModelProto, name: str) -> bool:
    return any(output.name == name for output in model.graph.output)


def integer(node: NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def integers(node: NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == name), default)


def _is_layer(node: NodeProto, weights: TensorProto) -> bool:
    return len(weights.dims) >= 3 if node.op_type == "Conv" else len(weights.dims) == 2


def _bias(node: NodeProto, model: onnx.ModelProto, stored: Mapping[str, TensorProto]) -> TensorProto | None:
    if node.op_type != "MatMul":
        return stored.get(node.input[2]) if len(node.input) > 2 else None
    users = users_of(model, node.output[0])
    if len(users) != 1 or users[0].op_type != "Add":
        return None
    return next((stored[name] for name in users[0].input if name in stored and len(stored[name].dims) == 1), None)


def replace_values(tensor: TensorProto, value: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), tensor.name))
