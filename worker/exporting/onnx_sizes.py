"""Arithmetic with sizes, worked out when a file is written instead of at every call.

The exporter writes down how each size follows from others: in a small transformer two nodes of three do nothing else,
and take nearly half of its time. Most sizes are constants; of a reshape's, mostly at most one is not, and that one may
be left to the runtime (-1). Nothing is assumed of sizes that are free.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from worker.exporting.onnx_numbers import KnownNumbers
from worker.exporting.onnx_weights import has_branches, without_weights

_INFERRED = -1


def compute_sizes(model: onnx.ModelProto) -> None:
    """The same function in fewer nodes. A model with branches stays as it is."""
    graph = model.graph
    if has_branches(graph):
        return
    light = without_weights(model)
    # Each round makes more shapes known: those behind the reshapes that the last one mended.
    while (nodes := _mended(light)) != list(light.graph.node):
        _put(light.graph, nodes)
    _put(graph, nodes)
    _drop_unused(graph)


def _put(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    graph.ClearField("node")
    graph.node.extend(nodes)


def _mended(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    known = KnownNumbers.of(model)
    answers = {each.name for each in model.graph.output}
    return [each for node in model.graph.node for each in _instead_of(node, known, is_answer=node.output[0] in answers)]


def _instead_of(node: onnx.NodeProto, known: KnownNumbers, *, is_answer: bool) -> Iterator[onnx.NodeProto]:
    name = node.output[0]
    target = _target(node, known)
    if name in known.constants and node.op_type != "Constant" and not is_answer:
        yield _constant(name, known.constants[name])
    elif target is not None:
        yield _constant(f"{name}.sizes", target)
        yield helper.make_node("Reshape", [node.input[0], f"{name}.sizes"], [name], name=node.name)
    else:
        yield node


def _target(node: onnx.NodeProto, known: KnownNumbers) -> NDArray[np.int64] | None:
    """Of a reshape of which one size is free."""
    if node.op_type != "Reshape" or node.input[1] in known.constants:
        return None
    sizes = list(known.numbers.get(node.input[1], ()))
    if sizes.count(None) != 1 or any(each is not None and each <= 0 for each in sizes):
        return None
    return np.array([_INFERRED if each is None else each for each in sizes], dtype=np.int64)


def _constant(name: str, numbers: NDArray[np.generic]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(numbers))


def _drop_unused(graph: onnx.GraphProto) -> None:
    wanted = {each.name for each in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    _put(graph, kept[::-1])
    for position in reversed(range(len(graph.initializer))):
        if graph.initializer[position].name not in wanted:
            del graph.initializer[position]
