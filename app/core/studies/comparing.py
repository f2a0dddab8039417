"""What the jobs of a study came to, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from app.core.errors import ProblemBody
from app.core.measurements import Metric, Result
from app.core.recipes.recipe import Recipe
from app.core.studies.front import front_of
from app.core.studies.gate import GateReading
from app.core.studies.schemas import Failure, Saved, Spread, StudyBaseline, StudyGroup, StudyPoint
from app.core.tables import JobRow


@dataclass(frozen=True)
class StudyJob:
    """A job with its result, if it has one by now."""

    row: JobRow
    recipe: Recipe
    result: Result | None

    @classmethod
    def of(cls, row: JobRow) -> "StudyJob":
        result = None if row.result is None else Result.model_validate(row.result)
        return cls(row, Recipe.model_validate(row.request["recipe"]), result)


@dataclass(frozen=True)
class Comparison:
    """`groups` and `points` say which of them are on the front."""

    points: tuple[StudyPoint, ...]
    groups: tuple[StudyGroup, ...]
    baseline: StudyBaseline | None
    metric: Metric | None
    is_synthetic: bool


def compared(jobs: Sequence[StudyJob]) -> Comparison:
    """Recipes are judged by the mean over their seeds, and their jobs share their place."""
    results = [job.result for job in jobs if job.result is not None]
    quality = next((result.compressed.quality for result in results if result.compressed.quality), None)
    metric = quality.metric if quality else None
    points = [_point(job) for job in jobs]
    groups = list(_groups(points))
    front = front_of(groups, metric)
    on_front = {job for group in front for job in group.jobs}
    return Comparison(
        points=tuple(point.model_copy(update={"on_front": point.job in on_front}) for point in points),
        groups=tuple(group.model_copy(update={"on_front": group in front}) for group in groups),
        baseline=_baseline(results),
        metric=metric,
        is_synthetic=quality is not None and quality.synthetic,
    )


def _point(job: StudyJob) -> StudyPoint:
    row = job.row
    seed = row.request["seed"]
    point = StudyPoint(job=row.id, status=row.status, recipe=job.recipe, control=row.control, seed=seed)
    if job.result is None:
        why = row.error["detail"] if row.error is not None and row.status == "canceled" else None
        return point.model_copy(update={"stopped_early": why})
    best, comparison = job.result.compressed, job.result.comparison
    return point.model_copy(
        update={
            "size_bytes": best.size_bytes,
            "latency_ms": best.latency_ms[0].median if best.latency_ms else None,
            "macs": best.macs,
            "quality": best.quality.value if best.quality else None,
            "quality_change": comparison.quality_change,
            "quality_change_ci95": comparison.quality_change_ci95,
            "speedup": comparison.speedup.median if comparison.speedup else None,
        }
    )


def _groups(points: Sequence[StudyPoint]) -> Iterator[StudyGroup]:
    measured = [point for point in points if point.size_bytes is not None]
    while measured:
        recipe, control = measured[0].recipe, measured[0].control
        alike = [point for point in measured if point.recipe == recipe]
        measured = [point for point in measured if point.recipe != recipe]
        yield StudyGroup(
            recipe=recipe,
            control=control,
            jobs=tuple(point.job for point in alike),
            size_bytes=_needed(_spread([point.size_bytes for point in alike])),
            latency_ms=_spread([point.latency_ms for point in alike]),
            speedup=_spread([point.speedup for point in alike]),
            macs=_spread([point.macs for point in alike]),
            quality=_spread([point.quality for point in alike]),
            on_front=False,
        )


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(mean=fmean(known), standard_deviation=stdev(known) if len(known) > 1 else None)


def _needed(spread: Spread | None) -> Spread:
    assert spread is not None
    return spread


def _baseline(results: Sequence[Result]) -> StudyBaseline | None:
    if not results:
        return None
    first = results[0].baseline
    latencies = [result.baseline.latency_ms[0].median for result in results if result.baseline.latency_ms]
    return StudyBaseline(
        size_bytes=first.size_bytes,
        latency_ms=median(latencies) if latencies else None,
        macs=first.macs,
        quality=first.quality.value if first.quality else None,
    )


def gate_of(rows: Sequence[JobRow]) -> GateReading | None:
    """Of all jobs of a study; None until the gate was read."""
    read = (row.result for row in rows if row.kind == "gate" and row.result is not None)
    return next((GateReading.model_validate(result) for result in read), None)


def saved(jobs: Sequence[StudyJob]) -> Saved:
    steps = [step for job in jobs if job.result is not None for step in job.result.steps]
    shared = [step for step in steps if step.run_by is not None]
    return Saved(
        steps_run=len(steps) - len(shared),
        steps_shared=len(shared),
        seconds_saved=sum(step.seconds for step in shared),
    )


def failures(jobs: Sequence[StudyJob]) -> Iterator[Failure]:
    for job in jobs:
        if job.row.status == "failed":
            yield Failure(
                job=job.row.id,
                recipe=job.recipe,
                control=job.row.control,
                seed=job.row.request["seed"],
                error=ProblemBody.model_validate(job.row.error),
            )
