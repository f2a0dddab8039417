"""What a search does next: first the network as it is, then a sensitivity analysis and what is known to work, then what
the sampler draws; when trials or seconds are used up, the gate for the last candidates; then it is over.

Worked out on what was read, and written only where nothing has changed meanwhile: two workers may be at it at once.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.errors import Problem
from app.core.events import add_study_event
from app.core.facts import DatasetFacts, ModelInspection
from app.core.job_options import JobOptions, RunOptions
from app.core.jobs import JobKind, cancel_row, new_row, queue_row
from app.core.keys import Caller
from app.core.measurements import OutputFormat, Result
from app.core.recipes.recipe import Recipe
from app.core.sensitivities import Sensitivity
from app.core.studies.candidates import candidates, cost_of, other_value_of, value_of
from app.core.studies.comparing import Comparison, StudyJob, compared
from app.core.studies.gate import GateOptions
from app.core.studies.lifecycle import conclude_if_over
from app.core.studies.planning import PlannedJob
from app.core.studies.requests import Search, StudyRequest
from app.core.studies.sharing import UNENDED
from app.core.studies.submitting import add_jobs, run_options
from app.core.submissions import check
from app.core.tables import DatasetRow, JobRow, ModelRow, StudyRow
from worker.search.choosing import Choices
from worker.search.sampling import Drawn, Trial
from worker.search.space import AS_IT_IS, Space
from worker.search.suggestions import suggestions

# Of a search's seconds; less than the fewest would tell too little.
FOR_SENSITIVITY, FEWEST_SECONDS_FOR_SENSITIVITY, MOST_SECONDS_FOR_SENSITIVITY = 1 / 15, 5, 60


@dataclass(frozen=True)
class Standing:
    """A search as it was read. `trials` are in the order in which they were added."""

    study: StudyRow
    request: StudyRequest
    search: Search
    trials: tuple[StudyJob, ...]
    sensitivity: JobRow | None
    gate: JobRow | None
    model: ModelRow
    dataset: DatasetRow | None

    @property
    def options(self) -> RunOptions:
        return run_options(self.request)

    @property
    def unended(self) -> list[StudyJob]:
        return [trial for trial in self.trials if trial.row.status in UNENDED]

    @property
    def choices(self) -> dict[str, Choices]:
        """By job; the first trial's are always the same."""
        return {self.trials[0].row.id: AS_IT_IS, **((self.study.state or {}).get("choices") or {})}

    @property
    def is_measuring_sensitivity(self) -> bool:
        return self.sensitivity is not None and self.sensitivity.status in UNENDED

    def comparison(self) -> Comparison:
        return compared(self.trials)

    def is_time_over(self, now: float) -> bool:
        return self.study.started_at is not None and now - self.study.started_at > self.search.seconds


@dataclass(frozen=True)
class Move:
    """What is to be written: a sensitivity analysis and trials to add, jobs to cancel, the gate to read for some jobs,
    or the end."""

    measure_sensitivity: bool = False
    add: tuple[Drawn, ...] = ()
    cancel: tuple[str, ...] = ()
    gate: tuple[str, ...] = ()
    conclude: bool = False


def advance_search(database: Database, study_id: str, slots: int) -> None:
    """Does nothing for other studies, and for those that are closed."""
    with database.reading() as session:
        standing = _standing(session, study_id)
    if standing is None:
        return
    move = next_move(standing, slots, time.time())
    if move == Move():
        return
    with database.writing() as session:
        if _is_as_it_was(session, standing):
            _carry_out(session, standing, move)


def _standing(session: Session, study_id: str) -> Standing | None:
    study = session.get(StudyRow, study_id)
    if study is None or not study.open or study.status not in UNENDED or study.model_id is None:
        return None
    request = StudyRequest.model_validate(study.request)
    if request.search is None:
        return None
    rows = session.scalars(select(JobRow).where(JobRow.study_id == study_id).order_by(JobRow.id)).all()
    return Standing(
        study=study,
        request=request,
        search=request.search,
        trials=tuple(StudyJob.of(row) for row in rows if row.kind == "compress"),
        sensitivity=next((row for row in rows if row.kind == "sensitivity"), None),
        gate=next((row for row in rows if row.kind == "gate"), None),
        model=session.get_one(ModelRow, study.model_id),
        dataset=session.get(DatasetRow, study.dataset_id) if study.dataset_id else None,
    )


def _is_as_it_was(session: Session, standing: Standing) -> bool:
    study = session.get(StudyRow, standing.study.id, with_for_update=True)
    jobs = session.scalar(select(func.count()).where(JobRow.study_id == standing.study.id))
    known = len(standing.trials) + sum(row is not None for row in (standing.sensitivity, standing.gate))
    return study is not None and study.open and jobs == known


def next_move(standing: Standing, slots: int, now: float) -> Move:
    if standing.gate is not None:
        return Move(conclude=standing.gate.status not in UNENDED)
    if standing.is_time_over(now) and (standing.unended or standing.is_measuring_sensitivity):
        return Move(cancel=tuple(row.id for row in _late(standing) if not row.cancel_requested))
    if not standing.is_time_over(now):
        needed = _needs_sensitivity(standing)
        added = tuple(_next_trials(standing, slots - needed - standing.is_measuring_sensitivity))
        if needed or added:
            return Move(measure_sensitivity=needed, add=added)
    if standing.unended or standing.is_measuring_sensitivity:
        return Move()
    last = tuple(point.job for point in candidates(standing.comparison(), standing.search))
    return Move(gate=last, conclude=not last)


def _late(standing: Standing) -> Iterator[JobRow]:
    """All but the first trial, if none has succeeded: there is to be something to show."""
    has_result = any(trial.result is not None for trial in standing.trials)
    yield from (trial.row for trial in standing.unended[0 if has_result else 1 :])
    if standing.sensitivity is not None and standing.is_measuring_sensitivity:
        yield standing.sensitivity


def _needs_sensitivity(standing: Standing) -> bool:
    """Once it is known that the network can be worked on, if there is time for it, and trials that could use it."""
    space = _space(standing)
    return (
        standing.sensitivity is None
        and standing.trials[0].result is not None
        and len(standing.trials) == 1 < standing.search.trials
        and standing.search.seconds * FOR_SENSITIVITY >= FEWEST_SECONDS_FOR_SENSITIVITY
        and space is not None
        and space.has_pruning("structured")
    )


def _next_trials(standing: Standing, slots: int) -> Iterator[Drawn]:
    """Nothing before the first trial has succeeded: what stops that one would stop them all."""
    left = min(standing.search.trials - len(standing.trials), slots - len(standing.unended))
    space = _space(standing)
    if left > 0 and standing.trials[0].result is not None and space is not None:
        suggested = suggestions(space, list(_told(standing)), standing.request.seeds[0])
        yield from islice(_untried(suggested, standing), left)


def _space(standing: Standing) -> Space | None:
    if standing.model.inspection is None:
        return None
    data = standing.dataset.facts if standing.dataset else None
    found = standing.sensitivity.result if standing.sensitivity else None
    return Space(
        ModelInspection.model_validate(standing.model.inspection).facts,
        standing.options,
        standing.search,
        DatasetFacts.model_validate(data) if data else None,
        None if found is None else Sensitivity.model_validate(found),
    )


def _told(standing: Standing) -> Iterator[Trial]:
    comparison = standing.comparison()
    for trial, point in zip(standing.trials, comparison.points, strict=True):
        choices = standing.choices.get(trial.row.id)
        if choices is None:
            continue
        values = value_of(point, standing.search, comparison.metric), other_value_of(point, standing.search)
        if trial.row.status in UNENDED:
            yield Trial(choices)
        elif trial.result is None or not all(map(isfinite, values)):
            yield Trial(choices, failed=True)
        else:
            yield Trial(choices, values, standing.search.budget.excess(cost_of(point, comparison.metric)))


def _untried(drawn: Iterator[Drawn], standing: Standing) -> Iterator[Drawn]:
    """Each once, and only those that a job would be accepted for."""
    tried = [trial.recipe for trial in standing.trials]
    for each in drawn:
        if each.recipe not in tried and _can_run(each.recipe, standing):
            tried.append(each.recipe)
            yield each


def _can_run(recipe: Recipe, standing: Standing) -> bool:
    alike = {name: getattr(standing.options, name) for name in RunOptions.model_fields}
    try:
        check(JobOptions(**alike, recipe=recipe), standing.model, standing.dataset, ())
    except Problem:
        return False
    return True


def _carry_out(session: Session, standing: Standing, move: Move) -> None:
    study = session.get_one(StudyRow, standing.study.id)
    if move.measure_sensitivity:
        _queue_sensitivity(session, study, standing)
    if move.add:
        _add(session, study, standing, move.add)
    for job in move.cancel:
        cancel_row(session, session.get_one(JobRow, job))
    if move.gate:
        _queue_gate(session, study, standing, move.gate)
    if move.conclude:
        study.open = False
        conclude_if_over(session, study.id)


def _add(session: Session, study: StudyRow, standing: Standing, drawn: Sequence[Drawn]) -> None:
    seed = standing.request.seeds[0]
    planned = [PlannedJob(recipe=each.recipe, seed=seed, written=None) for each in drawn]
    rows = add_jobs(session, Caller(id=study.owner, scopes=frozenset()), study, standing.options, planned)
    added = {row.id: dict(each.choices) for row, each in zip(rows, drawn, strict=True)}
    study.state = {"choices": {**((study.state or {}).get("choices") or {}), **added}}


def _queue_gate(session: Session, study: StudyRow, standing: Standing, jobs: Collection[str]) -> None:
    formats = {trial.row.id: _best_format(trial.result) for trial in standing.trials if trial.result is not None}
    options = GateOptions(
        candidates=tuple(jobs),
        outputs=tuple(dict.fromkeys(formats[job] for job in jobs)),
        seed=standing.request.seeds[0],
        measure=standing.options.measure,
        limits=standing.options.limits,
    )
    _queue(session, study, standing, "gate", options.model_dump(mode="json"))


def _queue_sensitivity(session: Session, study: StudyRow, standing: Standing) -> None:
    seconds = min(MOST_SECONDS_FOR_SENSITIVITY, standing.search.seconds * FOR_SENSITIVITY)
    _queue(session, study, standing, "sensitivity", {"seed": standing.request.seeds[0], "seconds": seconds})


def _queue(session: Session, study: StudyRow, standing: Standing, kind: JobKind, request: dict[str, Any]) -> None:
    row = new_row(study.owner, kind, request, standing.model, standing.dataset)
    row.study_id = study.id
    add_study_event(session, study.id, "job_added", {"job": row.id, "control": False, "seed": request["seed"]})
    queue_row(session, row)


def _best_format(result: Result) -> OutputFormat:
    return next(each.format for each in result.artifacts if each.name == result.best)
