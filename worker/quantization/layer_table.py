"""What int8 did to each layer, in numbers: the statistics, the range, the grid, and what came back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, log10

import numpy as np
import onnx

from app.core.details import Value
from worker.exporting.onnx import layer_named, layer_of
from worker.quantization.ranges import Grid, Ranges
from worker.quantization.rounding import Rounding
from worker.quantization.weighted_nodes import WeightedNode, weighted_nodes


def layer_table(
    model: onnx.ModelProto, ranges: Ranges, rounding: Rounding, in_float: Collection[str]
) -> Iterator[Mapping[str, Value]]:
    """A row for each layer with weights; where it stays in float32 it has no numbers, and where it is an embedding.

    Embeddings come first, as in the networks that have some.
    """
    for name in _embeddings(model):
        yield {"layer": layer_named(name), "bits": 32 if name in in_float else 8, "computed_in": "float32"}
    for node in weighted_nodes(model):
        layer = {"layer": layer_of(node.node)}
        if node.node.name in in_float:
            yield {**layer, "bits": 32, "computed_in": "float32"}
        else:
            yield {**layer, "bits": 8, "computed_in": "int8", **_weights(node, rounding), **_inputs(node, ranges)}


def decibels(error: float) -> float | None:
    """The signal-to-noise ratio whose inverse is `error`; None where there is no error."""
    return round(-10 * log10(error), 1) if error > 0 else None


@dataclass
class RoundedWeights:
    """Of one layer, which may have several tensors: they are added one by one, so that none is kept for it."""

    _smallest: float = inf
    _largest: float = -inf
    _energy: float = 0.0
    _error: float = 0.0
    _scales: list[np.ndarray] = field(default_factory=list)

    def add(self, exact: np.ndarray, rounded: np.ndarray, scales: np.ndarray) -> None:
        self._smallest = min(self._smallest, float(exact.min()))
        self._largest = max(self._largest, float(exact.max()))
        self._energy += float((exact**2).sum())
        self._error += float(((exact - rounded) ** 2).sum())
        self._scales.append(scales.ravel())

    def row(self) -> dict[str, Value]:
        return {
            "smallest_weight": self._smallest,
            "largest_weight": self._largest,
            "median_scale": float(np.median(np.concatenate(self._scales))),
            "weight_sqnr_db": decibels(self._error / max(self._energy, 1e-20)),
        }


def of_weights(exact: np.ndarray, rounded: np.ndarray, scales: np.ndarray) -> dict[str, Value]:
    weights = RoundedWeights()
    weights.add(exact, rounded, scales)
    return weights.row()


def of_inputs(grid: Grid) -> dict[str, Value]:
    return {
        "input_low": grid.low,
        "input_high": grid.high,
        "input_scale": grid.scale,
        "input_zero_point": grid.zero_point,
    }


def _embeddings(model: onnx.ModelProto) -> list[str]:
    """Names of lookups in tables that are stored; what isn't a layer's own has no name of a layer."""
    tables = {w.name for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) == 2}
    lookups = [node for node in model.graph.node if node.op_type == "Gather" and node.input[0] in tables]
    return [str(node.name) for node in lookups if layer_of(node)]


def _weights(node: WeightedNode, rounding: Rounding) -> dict[str, Value]:
    return of_weights(node.weight, rounding.to_nearest(node.weight), rounding.scales(node.weight))


def _inputs(node: WeightedNode, ranges: Ranges) -> dict[str, Value]:
    grid = ranges.grid(node.input)
    return {} if grid is None else of_inputs(grid)
