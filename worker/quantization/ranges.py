"""Ranges of activations, found on examples by ONNX Runtime's own calibrators.

Those that count values are fed one batch at a time: given all at once, they keep every activation of every example in
memory (measured elsewhere: 6 GB for 96 images).
"""

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator
from onnxruntime.quantization.calibrate import TensorData, TensorsData

from worker.allocator import give_back_freed_memory
from worker.example_checks import INFINITE
from worker.quantization.activations import Feed, session_of
from worker.quantization.divergence import LEVELS, ends_of_least_divergence

# The entropy method tries as many ranges as there are bins on either side of zero: more cost time and change little.
ENTROPY = {"num_bins": 512, "num_quantized_bins": LEVELS}
PERCENTILE = {"percentile": 99.99, "symmetric": False}
AVERAGING = {"moving_average": True, "averaging_constant": 0.1}
_LEVELS = 255
# A softmax gives nothing to what is so far below.
_MASKED = 1000.0
# Counts of values in bins, the bins' edges, and the extremes -> the ends of a range.
EndsOf = Callable[[np.ndarray, np.ndarray, float, float], tuple[float, float]]
_SHARES = np.linspace(0.2, 1.0, 33)


@dataclass(frozen=True)
class Grid:
    """The 256 values that a tensor may take: scale x (0..255 - zero_point)."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        return (self.high - self.low) / _LEVELS

    @property
    def zero_point(self) -> int:
        return round(min(max(-self.low / self.scale, 0), _LEVELS))


@dataclass(frozen=True)
class Ranges:
    """`infinite` names the tensors that hold infinity or stand for it, such as the mask of an attention: rounded, they
    would leave the other values no levels."""

    found: TensorsData
    infinite: frozenset[str]

    def grid(self, tensor: str) -> Grid | None:
        """Zero is always on it. None for a tensor that has no range, or holds one value only."""
        if tensor not in self.found:
            return None
        low, high = (float(np.ravel(end)[0]) for end in self.found[tensor].range_value)
        grid = Grid(min(low, 0.0), max(high, 0.0))
        return grid if grid.high > grid.low else None

    def with_ends(self, ends: Mapping[str, tuple[float, float]]) -> "Ranges":
        """Other ranges for some tensors."""
        given = {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))  # type: ignore[no-untyped-call]
            for name, (low, high) in ends.items()
        }
        kept = {name: self.found[name] for name in self.found if name not in given}
        return Ranges(TensorsData(self.found.calibration_method, kept | given), self.infinite)

    def nodes_in_float(self, model: onnx.ModelProto) -> list[str]:
        nodes = (node for node in model.graph.node if self.infinite.intersection((*node.input, *node.output)))
        return [str(node.name) for node in nodes]


def find_ranges(model: Path, feeds: Iterable[Feed], method: str) -> Ranges:
    """The smallest and largest value that each float tensor of `model` is to hold, by `method`.

    `min_max` keeps every value, `moving_average` averages the batches' extremes, `percentile` cuts 0.01 % off,
    `entropy` loses least information (KL divergence; Migacz, 8-bit Inference with TensorRT, 2017), `mse` has the
    smallest mean squared error of rounding.
    """
    give_back_freed_memory()
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
        extremes = _collected(model, feeds, CalibrationMethod.MinMax, {}).compute_data()
        before_softmax = {node.input[0] for node in onnx.load(model).graph.node if node.op_type == "Softmax"}
        infinite = frozenset(n for n in extremes if not _is_finite(extremes[n], masked=n in before_softmax))
        found = _METHODS[method](model, feeds, infinite) if method in _METHODS else extremes
    finite = {name: found[name] for name in found if name not in infinite}
    return Ranges(TensorsData(found.calibration_method, finite), infinite)


def _is_finite(tensor: TensorData, *, masked: bool) -> bool:
    """`masked`: may hold a large negative number in place of minus infinity, as attention masks often do."""
    low, high = (float(np.ravel(end)[0]) for end in tensor.range_value)
    return bool(np.isfinite(low) and np.isfinite(high)) and high - low < (_MASKED if masked else INFINITE)


class _Batches(CalibrationDataReader):
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:  # type: ignore[override]  # None ends it, says its docstring
        return next(self._feeds, None)


def _collected(
    model: Path,
    feeds: Iterable[Feed],
    method: CalibrationMethod,
    options: Mapping[str, object],
    infinite: Collection[str] = (),
) -> Any:
    """One of ONNX Runtime's calibrators, which have no types."""
    augmented = model.with_suffix(".augmented.onnx")
    calibrator: Any = create_calibrator(
        model, augmented_model_path=str(augmented), calibrate_method=method, extra_options=dict(options)
    )
    # The calibrators' own uses every core, whatever the job was allowed, and none of the quick kernels.
    calibrator.infer_session = None
    calibrator.infer_session = session_of(augmented, threads=torch.get_num_threads())
    augmented.unlink()
    if infinite and method is not CalibrationMethod.MinMax:
        calibrator.tensors_to_calibrate = set(calibrator.tensors_to_calibrate) - set(infinite)
    # Extremes are two numbers for each tensor, which may all be kept until the end; averages are of batches.
    keeps_little = method is CalibrationMethod.MinMax and not options
    for reader in [_Batches(feeds)] if keeps_little else (_Batches([feed]) for feed in feeds):
        calibrator.collect_data(reader)
    return calibrator


def _by(method: CalibrationMethod, options: Mapping[str, object]) -> "_Method":
    def find(model: Path, feeds: Iterable[Feed], infinite: Collection[str]) -> TensorsData:
        found: TensorsData = _collected(model, feeds, method, options, infinite).compute_data()
        return found

    return find


def _from_histograms(method: CalibrationMethod, options: Mapping[str, object], ends_of: EndsOf) -> "_Method":
    def find(model: Path, feeds: Iterable[Feed], infinite: Collection[str]) -> TensorsData:
        histograms = _collected(model, feeds, method, options, infinite).collector.get_histogram_dict()
        found: dict[str, TensorData | tuple[Any, ...]] = {}
        for name, (counts, edges, low, high, _) in histograms.items():
            ends = [np.float32(end) for end in ends_of(counts, edges, float(low), float(high))]
            found[name] = TensorData(lowest=ends[0], highest=ends[1])  # type: ignore[no-untyped-call]
        return TensorsData(CalibrationMethod.MinMax, found)

    return find


def ends_of_least_error(counts: np.ndarray, edges: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Both ends are drawn in towards zero; a value beyond an end is off by its distance to it."""
    values = (edges[:-1] + edges[1:]) / 2
    used = counts > 0
    candidates = [(low * below, high * above) for above in _SHARES for below in (_SHARES if low < 0 else (1.0,))]
    errors = [_rounding_error(values[used], counts[used], *candidate) for candidate in candidates]
    return candidates[int(np.argmin(errors))]


def _rounding_error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / _LEVELS, 1e-12)
    rounded = np.round((np.clip(values, low, high) - low) / scale) * scale + low
    return float((counts * (values - rounded) ** 2).sum())


_Method = Callable[[Path, Iterable[Feed], Collection[str]], TensorsData]
_METHODS: dict[str, _Method] = {
    "moving_average": _by(CalibrationMethod.MinMax, AVERAGING),
    "percentile": _by(CalibrationMethod.Percentile, PERCENTILE),
    "entropy": _from_histograms(CalibrationMethod.Entropy, ENTROPY, ends_of_least_divergence),
    "mse": _from_histograms(CalibrationMethod.Percentile, PERCENTILE, ends_of_least_error),
}
