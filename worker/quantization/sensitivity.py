"""Which layers 8 bits hurt most: each is rounded alone, and the answers are compared with those of the network in
float."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from worker.evaluation.answers import relative_error as error_of_output
from worker.quantization.activations import Feed, values
from worker.quantization.adjusted_layers import AdjustedLayers
from worker.quantization.ranges import Ranges
from worker.quantization.rounding import Rounding
from worker.quantization.weighted_nodes import WeightedNode, weighted_nodes


def errors_of_layers(
    model: onnx.ModelProto, adjusted: AdjustedLayers, ranges: Ranges, feeds: Sequence[Feed], rounding: Rounding
) -> dict[str, float]:
    """By node name: what rounding this layer's weights and inputs alone does to the answers, see `relative_error`."""
    exact = answers(model, feeds)
    errors = {}
    for node in list(weighted_nodes(model)):
        name = str(node.node.name)
        with adjusted.put_in([name]), _rounded(model, node, ranges, rounding):
            errors[name] = relative_error(exact, answers(model, feeds))
    return errors


def answers(model: onnx.ModelProto, feeds: Iterable[Feed]) -> list[np.ndarray]:
    """One array for each output of the graph, over all examples."""
    names = [output.name for output in model.graph.output]
    batches = list(values(model, names, feeds))
    return [np.concatenate([batch[name] for batch in batches]) for name in names]


def relative_error(exact: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Of the worst output."""
    return max((error_of_output(b, a) for a, b in zip(exact, found, strict=True)), default=0.0)


@contextmanager
def _rounded(model: onnx.ModelProto, node: WeightedNode, ranges: Ranges, rounding: Rounding) -> Iterator[None]:
    weight, source = node.weight.copy(), node.input
    node.store(rounding.to_nearest(weight))
    added, constants = _rounding_nodes(source, ranges)
    place = list(model.graph.node).index(node.node)
    for offset, extra in enumerate(added):
        model.graph.node.insert(place + offset, extra)
    model.graph.initializer.extend(constants)
    if added:
        node.node.input[0] = added[-1].output[0]
    try:
        yield
    finally:
        node.node.input[0] = source
        node.store(weight)
        for _ in added:
            del model.graph.node[place]
        for _ in constants:
            del model.graph.initializer[-1]


def _rounding_nodes(name: str, ranges: Ranges) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nothing for a tensor that has no range, or holds one value only."""
    grid = ranges.grid(name)
    if grid is None:
        return [], []
    stem = f"{name}.rounded"
    constants = [numpy_helper.from_array(np.array(grid.scale, np.float32), f"{stem}.scale")]
    constants.append(numpy_helper.from_array(np.array(grid.zero_point, np.uint8), f"{stem}.zero"))
    parameters = [constant.name for constant in constants]
    quantize = helper.make_node("QuantizeLinear", [name, *parameters], [f"{stem}.integers"])
    dequantize = helper.make_node("DequantizeLinear", [f"{stem}.integers", *parameters], [stem])
    return [quantize, dequantize], constants
