"""The Pareto front: what no other beats in size, time for a call, multiply-accumulates and quality together."""

from collections.abc import Sequence

from app.core.choosing import error
from app.core.measurements import Metric
from app.core.studies.schemas import StudyGroup

Costs = tuple[float, ...]


def front_of(groups: Sequence[StudyGroup], metric: Metric | None) -> list[StudyGroup]:
    """Controls compete as all others do. What was not measured counts alike for all."""
    costs = [_costs(group, metric) for group in groups]
    return [group for group, own in zip(groups, costs, strict=True) if not any(_beats(other, own) for other in costs)]


def _costs(group: StudyGroup, metric: Metric | None) -> Costs:
    """Each the smaller the better."""
    quality = error(metric, group.quality.mean) if metric is not None and group.quality is not None else 0.0
    return (group.size_bytes.mean, relative_time(group), group.macs.mean if group.macs else 0.0, quality)


def relative_time(group: StudyGroup) -> float:
    """Of a call, as a share of the upload's that was timed beside it."""
    return 1 / group.speedup.mean if group.speedup else 1.0


def _beats(one: Costs, other: Costs) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
