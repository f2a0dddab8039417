"""What is known of an ONNX graph's sizes, and of the numbers that are made of them, whatever the free sizes are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from worker.exporting.onnx_weights import MOST_NUMBERS, is_small

Numbers = NDArray[np.object_]
"""Of a value as far as they are known: None where a number follows from a free size."""

# Of what the exporter makes of sizes. Nodes without inputs may be random, so not every node is worked out.
_COMPUTED = frozenset(
    {"Abs", "Add", "And", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather", "Greater"}
    | {"GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Range", "Reshape"}
    | {"Size", "Slice", "Sqrt", "Squeeze", "Sub", "Unsqueeze", "Where"}
)


@dataclass
class KnownNumbers:
    """By name: `numbers`, those that are `constants` as what they are, and the `sizes` of values, None where free.

    Shapes are inferred anew, so that of a graph that was mended more is known.
    """

    sizes: Mapping[str, tuple[int | None, ...]]
    numbers: dict[str, Numbers]
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "KnownNumbers":
        known = cls(_sizes(model), {})
        for stored in model.graph.initializer:
            if is_small(stored):
                known.keep(stored.name, numpy_helper.to_array(stored))
        for node in model.graph.node:
            known.look_at(node, model.opset_import)
        return known

    def keep(self, name: str, constant: NDArray[np.generic]) -> None:
        self.constants[name] = constant
        self.numbers[name] = constant.astype(object)

    def look_at(self, node: onnx.NodeProto, opsets: Iterable[onnx.OperatorSetIdProto]) -> None:
        name = node.output[0]
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].name == "value":
            if is_small(node.attribute[0].t):
                self.keep(name, numpy_helper.to_array(node.attribute[0].t))
        elif node.op_type in _COMPUTED and all(each in self.constants for each in node.input if each):
            self._compute(node, opsets)
        else:
            found = self._partly(node)
            if found is not None:
                self.numbers[name] = found
                if _are_known(found):
                    self.keep(name, found.astype(np.int64))

    def _compute(self, node: onnx.NodeProto, opsets: Iterable[onnx.OperatorSetIdProto]) -> None:
        inputs = [name for name in node.input if name]
        given = [onnx.ValueInfoProto(name=name) for name in inputs]
        graph = helper.make_graph([node], "one", given, [onnx.ValueInfoProto(name=node.output[0])])
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=list(opsets)))
        (found,) = evaluator.run(None, {name: self.constants[name] for name in inputs})
        if np.size(found) <= MOST_NUMBERS:
            self.keep(node.output[0], np.asarray(found))

    def _partly(self, node: onnx.NodeProto) -> Numbers | None:
        """Of nodes that only move numbers about. None where nothing is known."""
        if node.op_type == "Shape":
            return self._shape(node)
        move = _MOVES.get(node.op_type)
        parts = [self.numbers.get(name) for name in node.input if name]
        if move is None or any(part is None for part in parts):
            return None
        return move(node, *parts)

    def _shape(self, node: onnx.NodeProto) -> Numbers | None:
        sizes = self.sizes.get(node.input[0])
        if sizes is None:
            return None
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        return np.array(sizes[ends.get("start", 0) : ends.get("end", len(sizes))], dtype=object)


def _gather(node: onnx.NodeProto, data: Numbers, indices: Numbers) -> Numbers | None:
    if not _are_known(indices):
        return None
    return np.asarray(np.take(data, indices.astype(np.int64), axis=_attribute(node, "axis", 0)), dtype=object)


def _unsqueeze(_node: onnx.NodeProto, data: Numbers, axes: Numbers) -> Numbers:
    return np.expand_dims(data, tuple(map(int, axes)))


def _squeeze(_node: onnx.NodeProto, data: Numbers, axes: Numbers | None = None) -> Numbers:
    return np.squeeze(data, None if axes is None else tuple(map(int, axes)))


def _concat(node: onnx.NodeProto, *parts: Numbers) -> Numbers:
    return np.concatenate(parts, axis=_attribute(node, "axis", 0))


def _slice(
    _node: onnx.NodeProto,
    data: Numbers,
    starts: Numbers,
    ends: Numbers,
    axes: Numbers | None = None,
    steps: Numbers | None = None,
) -> Numbers | None:
    given = [starts, ends, *(each for each in (axes, steps) if each is not None)]
    if data.ndim != 1 or not all(map(_are_known, given)):
        return None
    return data[slice(int(starts[0]), int(ends[0]), 1 if steps is None else int(steps[0]))]


def _cast(node: onnx.NodeProto, data: Numbers) -> Numbers | None:
    return data if _attribute(node, "to", 0) == onnx.TensorProto.INT64 else None


def _unknown(_node: onnx.NodeProto, *parts: Numbers) -> Numbers:
    """The results of arithmetic with a free size: where both numbers are known, it is done by `_compute`."""
    return np.full(np.broadcast_shapes(*(part.shape for part in parts)), None, dtype=object)


_MOVES: dict[str, Callable[..., Numbers | None]] = {
    "Add": _unknown,
    "Cast": _cast,
    "Concat": _concat,
    "Div": _unknown,
    "Gather": _gather,
    "Mul": _unknown,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _unknown,
    "Unsqueeze": _unsqueeze,
}


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    described = (*graph.input, *graph.value_info, *graph.output)
    return {each.name: tuple(_dimensions(each.type)) for each in described if each.type.tensor_type.HasField("shape")}


def _dimensions(described: onnx.TypeProto) -> Iterator[int | None]:
    for dimension in described.tensor_type.shape.dim:
        yield dimension.dim_value if dimension.HasField("dim_value") else None


def _are_known(numbers: Numbers) -> bool:
    return all(each is not None for each in numbers.flat)
