"""Which of the files that a job has written is the best, and which are delivered."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.budgets import Budget, Cost, drop_of
from app.core.intervals import ratio_of_medians_ci95
from app.core.job_options import Goal
from app.core.measurements import Latency, Measurement, Metric, Quality
from app.core.result_warnings import NOTABLE_SPEEDUP
from app.core.schemas import Schema
from app.core.tasks import FileMeasurement, WrittenFile

# Of accuracy or agreement, and as a fraction of a mean squared error.
TOLERATED, TOLERATED_ERROR = 0.01, 0.05
# What no gain in size or speed is worth, against the same network in float32.
RUINOUS, RUINOUS_ERROR = 0.1, 1.0


class FileFacts(Schema):
    """A file as it lies in the job's folder."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class MeasuredFile:
    """A written file with all that was found out about it; its size counts the companions that it needs."""

    file: WrittenFile
    facts: FileFacts
    found: FileMeasurement
    measurement: Measurement

    @property
    def latency(self) -> Latency | None:
        """At the first batch size asked for, by which files are compared; None of weights alone, which don't run."""
        return next(iter(self.measurement.latency_ms), None)


@dataclass(frozen=True)
class Choice:
    """`faster_siblings` are float32 files worth delivering beside a quantized best one; those `passed_over` lose too
    much quality to be the best; `outdone` is a quantized file that the best one, in float32, beats in size and speed.
    """

    best: MeasuredFile
    faster_siblings: tuple[MeasuredFile, ...]
    delivered: tuple[MeasuredFile, ...]
    passed_over: tuple[MeasuredFile, ...] = ()
    outdone: MeasuredFile | None = None


def _is_float_sibling(each: MeasuredFile, artifacts: Sequence[MeasuredFile]) -> bool:
    """Written beside a quantized file of the same format, without its last steps."""
    return not each.file.quantized and any(
        other.file.quantized and other.file.format == each.file.format for other in artifacts
    )


@dataclass(frozen=True)
class Bounds:
    """A budget, and the upload's quality against which it counts."""

    budget: Budget
    upload: Quality | None

    def cost(self, each: MeasuredFile) -> Cost:
        before, now = self.upload, each.measurement.quality
        drop = drop_of(now.metric, now.value - before.value) if now and before else None
        return Cost(each.measurement.size_bytes, each.latency.median if each.latency else None, drop)

    def kept(self, artifacts: Sequence[MeasuredFile]) -> list[MeasuredFile]:
        return [each for each in artifacts if not self.budget.needed_by(self.cost(each))]

    def nearest(self, artifacts: Sequence[MeasuredFile]) -> MeasuredFile:
        return min(artifacts, key=lambda each: self.budget.excess(self.cost(each)))


def choose(artifacts: Sequence[MeasuredFile], minimize: Goal, seed: int, bounds: Bounds | None = None) -> Choice:
    """Of files that were tried beside each other all are delivered, and the best of those that keep the quality is
    named; with `bounds`, of those that keep to the budget."""
    if bounds is not None:
        return _choose_within(artifacts, minimize, bounds)
    if any(each.file.precision is not None for each in artifacts):
        kept = _keeping_quality(artifacts)
        return Choice(_best(kept, minimize), (), tuple(artifacts), tuple(e for e in artifacts if e not in kept))
    siblings = [each for each in artifacts if _is_float_sibling(each, artifacts)]
    made = [each for each in artifacts if each not in siblings]
    kept = _keeping_quality(made)
    best = _best(kept, minimize)
    passed_over = tuple(each for each in made if each not in kept)
    if rescuers := [each for each in siblings if _is_ruined(best, each)]:
        saved = _best(rescuers, minimize)
        return Choice(saved, (), (*made, saved), tuple(made))
    faster = tuple(each for each in siblings if _is_faster(each, best, seed))
    if better := [each for each in faster if _is_no_worse(each, best)]:
        return Choice(_best(better, minimize), (), (*made, *faster), passed_over, outdone=best)
    return Choice(best, faster, (*made, *faster), passed_over)


def worth_timing(artifacts: Sequence[MeasuredFile], minimize: Goal, bounds: Bounds) -> list[MeasuredFile]:
    """Of files that weren't timed: those that keep to the budget as far as can be said without a time, or else the one
    that comes nearest. Where the smallest is wanted, no other one is."""
    untimed = Bounds(bounds.budget.model_copy(update={"max_latency_ms": None}), bounds.upload)
    kept = untimed.kept(artifacts) or [untimed.nearest(artifacts)]
    if minimize == "size" and bounds.budget.max_quality_drop is not None and bounds.budget.max_latency_ms is None:
        return [_best(kept, minimize)]
    return kept


def _choose_within(artifacts: Sequence[MeasuredFile], minimize: Goal, bounds: Bounds) -> Choice:
    """Where none keeps to the budget, the one that comes nearest; without a bound of quality, the one that keeps most
    of it. Beside the best one are delivered the fastest and the smallest of those that keep to it."""
    kept = bounds.kept(artifacts)
    if not kept:
        nearest = bounds.nearest(artifacts)
        return Choice(nearest, (), (nearest,))
    if bounds.budget.max_quality_drop is None:
        best = min(kept, key=lambda each: bounds.cost(each).quality_drop or 0)
    else:
        best = _best(kept, minimize)
    wanted = {each.file.name for each in (best, _best(kept, "latency"), _best(kept, "size"))}
    return Choice(best, (), tuple(each for each in kept if each.file.name in wanted))


def _best(candidates: Sequence[MeasuredFile], minimize: Goal) -> MeasuredFile:
    if minimize == "size":
        return min(candidates, key=lambda each: each.measurement.size_bytes)
    return min(candidates, key=lambda each: (each.latency.median if each.latency else 0, each.measurement.size_bytes))


def _is_faster(each: MeasuredFile, other: MeasuredFile, seed: int) -> bool:
    """By more than noise, and by enough to matter: the whole interval of the ratio is above 1.05."""
    if each.latency is None or other.latency is None:
        return False
    return ratio_of_medians_ci95(other.latency.samples, each.latency.samples, seed)[0] > NOTABLE_SPEEDUP


def _is_ruined(each: MeasuredFile, other: MeasuredFile) -> bool:
    """What is left of its quality is hardly of use, beside the `other`'s."""
    one, its = each.measurement.quality, other.measurement.quality
    if one is None or its is None:
        return False
    more = error(one.metric, one.value) - error(its.metric, its.value)
    return more > (RUINOUS_ERROR * its.value if one.metric == "mean_squared_error" else RUINOUS)


def _is_no_worse(each: MeasuredFile, other: MeasuredFile) -> bool:
    """In size, and in quality as far as that is tolerated."""
    return each.measurement.size_bytes <= other.measurement.size_bytes and each in _keeping_quality([each, other])


def slower_than_float(tried: Sequence[MeasuredFile], seed: int) -> list[tuple[MeasuredFile, MeasuredFile]]:
    """Of files that were tried beside each other: quantized ones with the float32 file of their format, where that is
    faster."""
    floats = {each.file.format: each for each in tried if each.file.precision == "float32"}
    quantized = [each for each in tried if each.file.quantized and each.file.precision is not None]
    pairs = [(each, floats[each.file.format]) for each in quantized if each.file.format in floats]
    return [(each, other) for each, other in pairs if _is_faster(other, each, seed)]


def _keeping_quality(artifacts: Sequence[MeasuredFile]) -> list[MeasuredFile]:
    """Those that lose no more than `TOLERATED` against the best of them."""
    judged = [each.measurement.quality for each in artifacts if each.measurement.quality is not None]
    if not judged:
        return list(artifacts)
    errors = {each.file.name: _error(each.measurement.quality) for each in artifacts}
    least = min(_error(quality) for quality in judged)
    return [each for each in artifacts if is_tolerated(judged[0].metric, errors[each.file.name], least)]


def _error(quality: Quality | None) -> float:
    return 0.0 if quality is None else error(quality.metric, quality.value)


def error(metric: Metric, value: float) -> float:
    """What is the smaller the better, in the metric's own unit."""
    return value if metric == "mean_squared_error" else 1 - value


def is_tolerated(metric: Metric, error: float, least: float) -> bool:
    """Whether an error is hardly larger than the `least`."""
    tolerated = least * (1 + TOLERATED_ERROR) if metric == "mean_squared_error" else least + TOLERATED
    return error <= tolerated + 1e-9
