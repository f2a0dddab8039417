"""How a range follows from what an activation was."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.worker.quantization.graphs import feeds, graph, normal
from worker.quantization.ranges import Ranges, find_ranges

VALUES = normal(8192, 4)
OUTLIER = np.where(np.arange(VALUES.size).reshape(VALUES.shape) == 100, 60.0, VALUES)
METHODS = ("min_max", "moving_average", "percentile", "entropy", "mse")


def ranges(folder: Path, values: np.ndarray, method: str) -> Ranges:
    """Of h = 2 x."""
    model = graph("h = Mul(x, two) y = MatMul(h, w)", {"w": np.eye(4), "two": np.array([2.0])})
    onnx.save(model, folder / "model.onnx")
    return find_ranges(folder / "model.onnx", feeds(values, 512), method)


def ends(found: Ranges, tensor: str = "h") -> tuple[float, float]:
    grid = found.grid(tensor)
    assert grid is not None
    return grid.low, grid.high


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    scale = (high - low) / 255
    zero = round(-low / scale)
    return float(((np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale - values).__pow__(2).mean())


def test_min_max_holds_every_value(tmp_path: Path) -> None:
    assert ends(ranges(tmp_path, OUTLIER, "min_max")) == pytest.approx((2 * OUTLIER.min(), 120.0))


def test_a_moving_average_forgets_one_batch(tmp_path: Path) -> None:
    low, high = ends(ranges(tmp_path, OUTLIER, "moving_average"))
    maxima = [2 * float(feed["x"].max()) for feed in feeds(OUTLIER, 512)]
    expected = maxima[0]
    for maximum in maxima[1:]:
        expected += 0.1 * (maximum - expected)
    assert high == pytest.approx(expected, rel=1e-4)
    assert low < 0


@pytest.mark.parametrize(("method", "below"), [("percentile", 20), ("entropy", 100), ("mse", 119)])
def test_an_outlier_is_cut_off(tmp_path: Path, method: str, below: float) -> None:
    assert ends(ranges(tmp_path, OUTLIER, method))[1] < below


def test_the_smallest_error_is_smaller_than_that_of_other_methods(tmp_path: Path) -> None:
    errors = {method: rounding_error(2 * OUTLIER, *ends(ranges(tmp_path, OUTLIER, method))) for method in METHODS}
    assert errors["mse"] == pytest.approx(min(errors.values()), rel=0.05)
    assert errors["mse"] < errors["min_max"]


@pytest.mark.parametrize(
    ("method", "mask"), [*((method, -np.inf) for method in METHODS), ("min_max", -1e4), ("min_max", -3.4e38)]
)
def test_a_mask_of_minus_infinity_has_no_range(tmp_path: Path, method: str, mask: float) -> None:
    model = graph(
        "masked = Add(x, mask) h = Softmax(masked) y = MatMul(h, w)",
        {"w": np.eye(4), "mask": np.array([0, 0, mask, 0])},
    )
    onnx.save(model, tmp_path / "model.onnx")
    found = find_ranges(tmp_path / "model.onnx", feeds(VALUES, 512), method)
    assert found.infinite == {"masked"}
    assert found.grid("masked") is None
    assert found.grid("h") is not None
    assert found.nodes_in_float(model) == ["/masked/Add", "/h/Softmax"]


def test_zero_is_always_among_the_values(tmp_path: Path) -> None:
    found = ranges(tmp_path, np.abs(VALUES) + 1, "min_max")
    grid = found.grid("h")
    assert grid is not None
    assert (grid.low, grid.zero_point) == (0.0, 0)
