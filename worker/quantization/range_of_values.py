"""The range of a tensor that torch computes, by the methods of `ranges.py` and with ONNX Runtime's histograms."""

import contextlib
import io

import numpy as np
from onnxruntime.quantization.calibrate import HistogramCollector

from worker.quantization.divergence import ends_of_least_divergence
from worker.quantization.ranges import AVERAGING, ENTROPY, PERCENTILE, EndsOf, ends_of_least_error

_BINS = 2048
_NAME = "values"
_FROM_HISTOGRAM: dict[str, EndsOf] = {"entropy": ends_of_least_divergence, "mse": ends_of_least_error}


class RangeOfValues:
    """Is given values batch by batch; `ends` are the smallest and the largest that are to be told apart."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._low = self._high = float("nan")
        self._histogram = HistogramCollector(  # type: ignore[no-untyped-call]
            method="entropy" if method == "entropy" else "percentile",
            symmetric=False,
            num_bins=ENTROPY["num_bins"] if method == "entropy" else _BINS,
            num_quantized_bins=ENTROPY["num_quantized_bins"],
            percentile=PERCENTILE["percentile"],
            scenario="same",
        )

    def collect(self, values: np.ndarray) -> None:
        low, high = float(values.min()), float(values.max())
        if self._method == "moving_average" and not np.isnan(self._low):
            share = AVERAGING["averaging_constant"]
            self._low, self._high = self._low + share * (low - self._low), self._high + share * (high - self._high)
        else:
            self._low, self._high = float(np.fmin(self._low, low)), float(np.fmax(self._high, high))
        if self._method in ("percentile", "entropy", "mse"):
            with contextlib.redirect_stdout(io.StringIO()):
                self._histogram.collect({_NAME: values})  # type: ignore[no-untyped-call]

    def ends(self) -> tuple[float, float]:
        if self._method in ("min_max", "moving_average"):
            return self._low, self._high
        if self._method in _FROM_HISTOGRAM:
            counts, edges, low, high, _ = self._histogram.get_histogram_dict()[_NAME]  # type: ignore[no-untyped-call]
            return _FROM_HISTOGRAM[self._method](counts, edges, float(low), float(high))
        with contextlib.redirect_stdout(io.StringIO()):
            found = self._histogram.compute_collection_result()[_NAME][:2]  # type: ignore[no-untyped-call]
        first, last = (float(np.ravel(end)[0]) for end in found)
        return first, last
