"""Which layers 8 bits hurt most, and how many of them stay in float32."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.worker.quantization.graphs import feeds, graph, normal
from worker.quantization.adjusted_layers import AdjustedLayers
from worker.quantization.kept_in_float import kept_in_float
from worker.quantization.ranges import find_ranges
from worker.quantization.rounding import Rounding
from worker.quantization.sensitivity import errors_of_layers, relative_error

X = normal(64, 4)


def test_a_layer_that_rounding_ruins_is_the_most_sensitive(tmp_path: Path) -> None:
    """One weight of the second layer is so large that the others become zero, and what it multiplies is zero."""
    first, ruined = normal(4, 4), normal(4, 4, seed=1)
    first[0], ruined[0, 0] = 0, 3000
    body = "a = Gemm<transB = 1>(x, w1) b = Gemm<transB = 1>(a, w2) y = Gemm<transB = 1>(b, w3)"
    model = graph(body, {"w1": first, "w2": ruined, "w3": normal(4, 4, seed=2)})
    onnx.save(model, tmp_path / "model.onnx")
    before = model.SerializeToString()
    ranges = find_ranges(tmp_path / "model.onnx", feeds(X), "min_max")
    errors = errors_of_layers(model, AdjustedLayers(), ranges, feeds(X), Rounding(False, 127))
    assert max(errors, key=lambda name: errors[name]) == "/b/Gemm"
    assert errors["/b/Gemm"] > 10 * errors["/a/Gemm"]
    assert model.SerializeToString() == before


def test_answers_that_are_not_finite_are_infinitely_wrong() -> None:
    assert relative_error([np.ones(3)], [np.array([1, np.nan, 1])]) == np.inf


ERRORS = {f"layer{number}": 1 / (number + 1) for number in range(16)}
SIZES = dict.fromkeys(ERRORS, 10)


@pytest.mark.parametrize(("needed", "kept"), [(0, 0), (1, 1), (3, 4), (9, 4)])
def test_as_few_as_are_needed_are_kept_and_no_more_than_a_quarter(needed: int, kept: int) -> None:
    def error_with(names: Sequence[str]) -> float:
        return 0.001 if len(names) >= needed else 1 - 0.1 * len(names)

    assert kept_in_float(ERRORS, SIZES, error_with) == list(ERRORS)[:kept]


def test_where_nothing_is_near_enough_the_least_error_wins() -> None:
    assert len(kept_in_float(ERRORS, SIZES, lambda names: abs(len(names) - 2) + 0.5)) == 2


def test_a_layer_that_holds_much_of_the_file_is_not_kept() -> None:
    kept = kept_in_float(ERRORS, SIZES | {"layer0": 1000}, lambda names: 1 - 0.1 * len(names))
    assert kept == ["layer1", "layer2", "layer3", "layer4"]


def test_of_layers_that_lose_nearly_alike_the_smaller_is_kept() -> None:
    errors, sizes = ERRORS | {"layer1": 0.9}, SIZES | {"layer0": 15}
    assert kept_in_float(errors, sizes, lambda names: 0.001 if names else 1.0) == ["layer1"]
