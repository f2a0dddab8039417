"""Convolutions of few channels in int8, such as a network's first: they read neighbouring columns as channels.

Integer kernels gather what each answer reads, which takes them longer than computing it, and have a fast way only for
channels that four divides. Four columns of one channel and one column of four channels lie alike in memory, channels
last, so both views cost nothing; the filter, with zeros in it, gives as many columns of answers at once. The integers
are the same, and the answers to the bit. From "space to depth" in the first convolutions of MLPerf (Ying et al., Image
Classification at Supercomputer Scale, 2018), along one axis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from worker.exporting.onnx_shapes import Shapes, shapes_in
from worker.quantization.blocks_of_columns import COLUMNS, BlocksOfColumns
from worker.quantization.weighted_nodes import integer, integers, only_user_of, producers_in

# The zeros, as a part of the file: a small one isn't made larger for speed.
MOST_GROWTH = 0.02
_BY_ELEMENT = frozenset({"Relu", "Clip"})


def with_columns_as_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Changes it. Convolutions whose shapes aren't known, but for the batch, stay as they are."""
    producers = producers_in(model.graph)
    whole = [node for node in model.graph.node if node.op_type == "Conv" and integer(node, "group", 1) == 1]
    for convolution in [_convolution(model, producers, node) for node in whole]:
        if convolution is not None and convolution.growth <= MOST_GROWTH * model.ByteSize():
            convolution.rewrite(model.graph)
    return model


@dataclass(frozen=True)
class _Convolution:
    """`dequantize` gives what it reads: values, weights, and a bias where there is one. `behind` is what reads its
    answers, up to the node that rounds them. `read` and `answered` are the sizes of one example, channels first."""

    node: NodeProto
    dequantize: Sequence[NodeProto]
    behind: Sequence[NodeProto]
    read: Sequence[int]
    answered: Sequence[int]
    columns: BlocksOfColumns
    stored: Mapping[str, np.ndarray]

    @property
    def growth(self) -> int:
        weight = self.stored[self.dequantize[1].input[0]]
        return int(self.columns.filter(weight).nbytes - weight.nbytes)

    def rewrite(self, graph: onnx.GraphProto) -> None:
        _insert(graph, self.node, [*self._values(graph), *self._weights(graph)])
        _insert(graph, self.behind[-1], self._answers(graph), after=True)
        self._lay_out()
        changed = {self.node.output[0], *(each.output[0] for each in self.behind)}
        for value in [value for value in graph.value_info if value.name in changed]:
            graph.value_info.remove(value)
        for each in self.dequantize:
            if not any(each.output[0] in node.input for node in graph.node):
                graph.node.remove(each)

    def _values(self, graph: onnx.GraphProto) -> list[NodeProto]:
        values, blocks = self.dequantize[0], f"{self.node.name}.blocks"
        channels, *others, width = self.read
        views = _viewed(graph, values.input[0], blocks, [-1, *others, width // COLUMNS, channels * COLUMNS])
        self.node.input[0] = f"{self.node.name}.input"
        return [*views, helper.make_node("DequantizeLinear", [blocks, *values.input[1:]], [self.node.input[0]])]

    def _weights(self, graph: onnx.GraphProto) -> list[NodeProto]:
        """Stored anew, since other layers may share what is as it was."""
        nodes = list[NodeProto]()
        for position, before in enumerate(self.dequantize[1:], 1):
            laid, name = NodeProto(), f"{self.node.name}.{position}"
            laid.CopyFrom(before)
            for place, tensor in enumerate(before.input):
                laid.input[place] = _store(graph, f"{name}.{place}", self._laid(self.stored[tensor]))
            laid.output[0] = self.node.input[position] = name
            nodes.append(laid)
        return nodes

    def _laid(self, tensor: np.ndarray) -> np.ndarray:
        if tensor.ndim > 1:
            return self.columns.filter(tensor)
        return self.columns.for_each_answer(tensor) if tensor.ndim else tensor

    def _answers(self, graph: onnx.GraphProto) -> list[NodeProto]:
        quantize = self.behind[-1]
        answers, blocks = quantize.output[0], f"{self.node.name}.answers"
        quantize.output[0] = blocks
        channels, *others, width = self.answered
        return _viewed(graph, blocks, answers, [-1, *others, self.columns.computed, channels], keep=width)

    def _lay_out(self) -> None:
        axes = len(self.read) - 1
        kernel = self.stored[self.dequantize[1].input[0]].shape[2:]
        strides = integers(self.node, "strides", (1,) * axes)
        pads = np.array(integers(self.node, "pads", (0,) * 2 * axes)).reshape(2, axes)
        pads[:, -1] = -self.columns.first, self.columns.after
        laid = {
            "kernel_shape": [*kernel[:-1], self.columns.read],
            "strides": [*strides[:-1], 1],
            "pads": pads.ravel().tolist(),
        }
        kept = [each for each in self.node.attribute if each.name not in laid]
        del self.node.attribute[:]
        self.node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in laid.items())])


def _convolution(model: onnx.ModelProto, producers: Mapping[str, NodeProto], node: NodeProto) -> _Convolution | None:
    """None where it has channels enough, isn't in int8, or its columns don't come in blocks."""
    dequantize = [producers[name] for name in node.input if name in producers]
    behind = _until_rounded(model, node.output[0])
    if not behind or [each.op_type for each in dequantize] != ["DequantizeLinear"] * len(node.input):
        return None
    stored = _stored(model, dequantize)
    weight, scale = stored.get(dequantize[1].input[0]), stored.get(dequantize[0].input[1])
    if weight is None or weight.shape[1] >= COLUMNS or scale is None or scale.ndim:
        return None
    shapes = shapes_in(model)
    read, answered = (_sizes(shapes, name) for name in (node.input[0], node.output[0]))
    columns = _columns(node, weight.shape[-1], read, answered)
    if columns is None:
        return None
    return _Convolution(node, dequantize, behind, read, answered, columns, stored)


def _until_rounded(model: onnx.ModelProto, value: str) -> list[NodeProto]:
    """What reads it, up to a QuantizeLinear; nothing where there is none, or others read it, too."""
    user = only_user_of(model, value)
    if user is None or user.op_type == "QuantizeLinear":
        return [] if user is None else [user]
    behind = _until_rounded(model, user.output[0]) if user.op_type in _BY_ELEMENT else []
    return behind and [user, *behind]


def _stored(model: onnx.ModelProto, dequantize: Sequence[NodeProto]) -> dict[str, np.ndarray]:
    names = {name for node in dequantize for name in node.input}
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer if each.name in names}


def _sizes(shapes: Shapes, name: str) -> list[int]:
    """Without the batch; none where one isn't known."""
    sizes = [int(each.dim_value) for each in shapes[name].tensor_type.shape.dim[1:]] if name in shapes else []
    return sizes if all(sizes) else []


def _columns(node: NodeProto, kernel: int, read: Sequence[int], answered: Sequence[int]) -> BlocksOfColumns | None:
    if not read or not answered or read[-1] % COLUMNS:
        return None
    axes = len(read) - 1
    stride, dilation = (integers(node, name, (1,) * axes)[-1] for name in ("strides", "dilations"))
    pads = integers(node, "pads", (0,) * 2 * axes)
    if dilation != 1 or COLUMNS % stride or any(each.name == "auto_pad" for each in node.attribute):
        return None
    return BlocksOfColumns(read[-1], answered[-1], kernel, stride, pads[axes - 1])


def _viewed(
    graph: onnx.GraphProto, source: str, target: str, shape: Sequence[int], keep: int | None = None
) -> list[NodeProto]:
    """`shape` has channels last, as memory has; source and target have them on axis 1. Of the columns `keep` stay."""
    rank = len(shape)
    last, first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    size = _store(graph, f"{target}.shape", np.array(shape, np.int64))
    nodes = [
        helper.make_node("Transpose", [source], [f"{target}.last"], perm=last),
        helper.make_node("Reshape", [f"{target}.last", size], [f"{target}.seen"]),
    ]
    if keep is not None and keep < shape[-2]:
        bounds = {"from": 0, "to": keep, "axis": rank - 2}
        ends = [_store(graph, f"{target}.{name}", np.array([value])) for name, value in bounds.items()]
        nodes.append(helper.make_node("Slice", [f"{target}.seen", *ends], [f"{target}.kept"]))
    return [*nodes, helper.make_node("Transpose", [nodes[-1].output[0]], [target], perm=first)]


def _store(graph: onnx.GraphProto, name: str, values: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def _insert(graph: onnx.GraphProto, beside: NodeProto, nodes: Sequence[NodeProto], *, after: bool = False) -> None:
    place = list(graph.node).index(beside) + after
    for number, node in enumerate(nodes):
        graph.node.insert(place + number, node)
