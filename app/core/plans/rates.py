"""How fast this service is, from the jobs that it has finished."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.expected import ExpectedNetwork
from app.core.facts import ModelInspection
from app.core.plans.work import after_each, training_work
from app.core.recipes import Step
from app.core.recipes.recipe import Recipe
from app.core.tables import DatasetRow, JobRow, ModelRow

MOST_JOBS = 30


@dataclass(frozen=True)
class Rates:
    """The defaults are a core of 2023, which nothing has kept busy otherwise."""

    work_in_second: float = 1.5e10
    seconds_each_file: float = 1.2
    seconds_of_step: Mapping[str, float] = field(default_factory=dict)
    learned_from: int = 0

    def step(self, technique: str) -> float:
        """Beside training."""
        return self.seconds_of_step.get(technique, 1.0)


@dataclass(frozen=True)
class _Past:
    """What one job tells: of training, pairs of work and seconds; of steps, pairs of technique and seconds beside."""

    training: tuple[tuple[float, float], ...]
    steps: tuple[tuple[str, float], ...]
    seconds_each_file: float


def learned_rates(session: Session, model: str) -> Rates:
    """Medians over past jobs on the same model; where there are none, over those on any."""
    for condition in (JobRow.model_id == model, JobRow.model_id.is_not(None)):
        rows = session.execute(
            select(JobRow, ModelRow, DatasetRow)
            .join(ModelRow, ModelRow.id == JobRow.model_id)
            .outerjoin(DatasetRow, DatasetRow.id == JobRow.dataset_id)
            .where(JobRow.kind == "compress", JobRow.status == "succeeded", condition)
            .order_by(JobRow.id.desc())
            .limit(MOST_JOBS)
        )
        past = [_told_by(job, model_row, dataset) for job, model_row, dataset in rows]
        if past:
            return _rates(past)
    return Rates()


def _rates(past: list[_Past]) -> Rates:
    usual = Rates()
    training = [work / seconds for job in past for work, seconds in job.training]
    steps: dict[str, list[float]] = {}
    for technique, seconds in (each for job in past for each in job.steps):
        steps.setdefault(technique, []).append(seconds)
    return Rates(
        work_in_second=median(training) if training else usual.work_in_second,
        seconds_each_file=median(job.seconds_each_file for job in past),
        seconds_of_step={technique: median(seconds) for technique, seconds in steps.items()},
        learned_from=len(past),
    )


def _told_by(job: JobRow, model: ModelRow, dataset: DatasetRow | None) -> _Past:
    """From the stored result as it is, which holds too many samples to be checked again."""
    result: dict[str, Any] = job.result or {}
    own = [step for step in result["steps"] if not step.get("run_by")]
    took = (job.finished_at or 0) - (job.started_at or 0) - sum(step["seconds"] for step in own)
    files = files_worked_on(len(result["steps"]), [artifact["format"] for artifact in result["artifacts"]])
    return _Past(
        training=tuple(_training(job, model, dataset, result["steps"])),
        steps=tuple((step["technique"], max(0.0, step["seconds"] - _in_epochs(step))) for step in own),
        seconds_each_file=max(0.0, took) / files,
    )


def _training(job: JobRow, model: ModelRow, dataset: DatasetRow | None, done: Any) -> Iterator[tuple[float, float]]:
    steps = _steps_of(job)
    if len(steps) != len(done) or dataset is None or not dataset.facts or not model.inspection:
        return
    facts = ModelInspection.model_validate(model.inspection).facts
    networks = after_each(ExpectedNetwork.of(facts), steps)
    for step, network, told in zip(steps, networks, done, strict=True):
        seconds = _in_epochs(told)
        work = training_work(step, network, dataset.facts["examples"]["train"], len(told.get("epochs", ())))
        if seconds > 0 and work > 0:
            yield work, seconds


def _steps_of(job: JobRow) -> tuple[Step, ...]:
    """None of a preset, which doesn't train, nor of a recipe that an older version accepted and this one doesn't."""
    try:
        return Recipe.model_validate(job.request.get("recipe")).steps or ()
    except ValidationError:
        return ()


def _in_epochs(step: Mapping[str, Any]) -> float:
    return float(sum(epoch["seconds"] for epoch in step.get("epochs", ())))


def files_worked_on(steps: int, formats: Iterable[str]) -> int:
    """Written, measured and timed: the upload, it in each runtime, what each step but the last leaves, and each file
    in the end."""
    artifacts = list(formats)
    return 1 + len(set(artifacts)) + max(0, steps - 1) + len(artifacts)
