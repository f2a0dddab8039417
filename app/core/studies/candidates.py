"""What a trial of a search costs, and the last candidates, for which the gate is read.

Trials are chosen by the choice half of the test examples, and judged by the gate half, which none of them saw.
"""

from collections.abc import Sequence

from app.core.budgets import ROUNDING, Budget, Cost, drop_interval, drop_of
from app.core.measurements import Metric
from app.core.studies.comparing import Comparison
from app.core.studies.gate import MOST_CANDIDATES
from app.core.studies.requests import Search
from app.core.studies.schemas import StudyPoint

AS_FAST = 0.05
# By the times of two trials, which are timed in brief, beside other trials, and not in turns.
MAY_BE_AS_FAST = 0.25
AS_SMALL = 0.02


def cost_of(point: StudyPoint, metric: Metric | None) -> Cost:
    """On the choice half."""
    known = metric is not None and point.quality_change is not None
    drop = drop_of(metric, point.quality_change) if known else None  # type: ignore[arg-type]
    return Cost(point.size_bytes or 0, point.latency_ms, drop)


def value_of(point: StudyPoint, search: Search, metric: Metric | None) -> float:
    """What the search makes as small as it can; time as a share of the upload's, which was timed beside it."""
    if search.budget.max_quality_drop is None:
        drop = cost_of(point, metric).quality_drop
        return float("inf") if drop is None else drop
    if search.minimize == "latency":
        return _relative_time(point)
    value = point.size_bytes if search.minimize == "size" else point.macs
    return float(value or 0)


def other_value_of(point: StudyPoint, search: Search) -> float:
    """What it makes small beside that: the size, or the time where the size is what was asked for."""
    return _relative_time(point) if search.minimize == "size" else float(point.size_bytes or 0)


def _relative_time(point: StudyPoint) -> float:
    return 1 / point.speedup if point.speedup else 1.0


def measured_points(points: Sequence[StudyPoint]) -> list[StudyPoint]:
    return [point for point in points if point.size_bytes is not None]


def candidates(comparison: Comparison, search: Search) -> list[StudyPoint]:
    """Those that the gate is read for, of those that keep to the budget on the choice half: the cheapest, the smallest
    of those that may be as fast, the cheapest that loses nothing, the cheapest whose interval is inside the budget, and
    the cheapest whose interval leaves half of it (else, the one that surely loses least), for the case that the others
    were lucky. Where no proof is asked for, between them the cheapest that loses less than the first.

    None where none keeps to it: there is nothing to prove.
    """
    metric, budget = comparison.metric, search.budget
    keeping = [p for p in measured_points(comparison.points) if not budget.needed_by(cost_of(p, metric))]
    if not keeping:
        return []

    lossless = [point for point in keeping if (cost_of(point, metric).quality_drop or 0.0) <= ROUNDING]
    chosen = [cheapest(keeping, search, metric), cheapest(keeping, search, metric, MAY_BE_AS_FAST)]
    chosen += [cheapest(lossless, search, metric)] if lossless else []
    for allowed in (allowed_drop(budget), allowed_drop(budget) / 2):
        inside = [point for point in keeping if _largest_drop(point, metric) <= allowed]
        chosen += [cheapest(inside, search, metric)] if inside else []
    if len(chosen) < MOST_CANDIDATES:
        chosen.append(min(keeping, key=lambda point: (_largest_drop(point, metric), value_of(point, search, metric))))
    distinct = [point for number, point in enumerate(chosen) if point not in chosen[:number]]
    return distinct + _between(distinct, keeping, search, metric)


def _between(
    chosen: Sequence[StudyPoint], keeping: Sequence[StudyPoint], search: Search, metric: Metric | None
) -> list[StudyPoint]:
    first = cost_of(chosen[0], metric).quality_drop or 0.0
    better = [point for point in keeping if (cost_of(point, metric).quality_drop or 0.0) < first - ROUNDING]
    if search.prefer == "proved" or not better or len(chosen) == MOST_CANDIDATES:
        return []
    found = cheapest(better, search, metric)
    return [] if found in chosen else [found]


def cheapest(
    points: Sequence[StudyPoint], search: Search, metric: Metric | None, as_fast: float = AS_FAST
) -> StudyPoint:
    """Of those that are as good as equally fast, the smallest; of those that are as good as equally small, the one that
    loses least."""
    least = min(value_of(point, search, metric) for point in points)
    tolerance = as_fast if search.minimize == "latency" and search.budget.max_quality_drop is not None else 0.0
    level = [point for point in points if value_of(point, search, metric) <= least * (1 + tolerance)]
    smallest = min(other_value_of(point, search) for point in level)
    small = [point for point in level if other_value_of(point, search) <= smallest * (1 + AS_SMALL)]
    return min(small, key=lambda point: (cost_of(point, metric).quality_drop or 0.0, value_of(point, search, metric)))


def _largest_drop(point: StudyPoint, metric: Metric | None) -> float:
    if metric is None or point.quality_change_ci95 is None:
        return float("inf")
    return drop_interval(metric, point.quality_change_ci95)[1]


def allowed_drop(budget: Budget) -> float:
    return float("inf") if budget.max_quality_drop is None else budget.max_quality_drop
