"""The range of least divergence is the one that ONNX Runtime's own search finds."""

import contextlib
import io

import numpy as np
import pytest
from onnxruntime.quantization.calibrate import HistogramCollector

from worker.quantization.divergence import LEVELS, ends_of_least_divergence


def histogram(values: np.ndarray) -> HistogramCollector:
    collector = HistogramCollector("entropy", False, 256, LEVELS, 99.99, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        for part in np.array_split(values, 2):
            collector.collect({"x": part})
    return collector


@pytest.mark.parametrize("seed", range(4))
def test_onnx_runtime_finds_the_same(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=4000).astype(np.float32)
    values[:3] *= 10 * (seed + 1)
    collector = histogram(np.maximum(values, 0) if seed % 2 else values)
    counts, edges, low, high, _ = collector.get_histogram_dict()["x"]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = collector.compute_collection_result()["x"][:2]
    assert ends_of_least_divergence(counts, edges, float(low), float(high)) == pytest.approx(expected)


def test_values_that_are_all_zero_have_an_empty_range() -> None:
    counts, edges, low, high, _ = histogram(np.zeros(100, np.float32)).get_histogram_dict()["x"]
    assert ends_of_least_divergence(counts, edges, float(low), float(high)) == (0, 0)
