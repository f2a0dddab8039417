"""From a request to a study with its jobs in the queue. Nothing is queued unless everything passes its check."""

import time
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import datasets, models
from app.core.database import Database
from app.core.errors import FieldError, Problem
from app.core.events import add_study_event
from app.core.ids import new_id
from app.core.job_options import JobOptions, RunOptions
from app.core.keys import Caller
from app.core.recipes.recipe import Recipe
from app.core.studies.checks import check_search
from app.core.studies.planning import PlannedJob, planned_jobs
from app.core.studies.reading import present
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import Study
from app.core.studies.sharing import UNENDED, arrange
from app.core.submissions import (
    Idempotency,
    check,
    compress_row,
    earlier,
    queue_with_models,
    refuse_rejected,
)
from app.core.tables import DatasetRow, JobRow, ModelRow, StudyRow


def submit_study(
    database: Database, caller: Caller, request: StudyRequest, idempotency: Idempotency | None = None
) -> Study:
    with database.writing() as session:
        study = earlier(session, StudyRow, caller, idempotency)
        if study is None:
            study = _new_study(session, caller, request, idempotency)
            add_jobs(session, caller, study, run_options(request), _first_jobs(request))
        return present(session, study)


def _first_jobs(request: StudyRequest) -> tuple[PlannedJob, ...]:
    """Of a search the first trial alone: the network with no step. Workers add the others."""
    if request.search is None:
        return planned_jobs(request)
    return (PlannedJob(recipe=Recipe(steps=()), seed=request.seeds[0], written=None),)


def run_options(request: StudyRequest) -> RunOptions:
    """What is said of each of its jobs."""
    if request.search is None or request.search.minimize == "macs":
        return request
    return request.model_copy(update={"minimize": request.search.minimize})


def _new_study(session: Session, caller: Caller, request: StudyRequest, idempotency: Idempotency | None) -> StudyRow:
    model = models.find(session, caller, request.model)
    dataset = datasets.named(session, caller, request.dataset)
    refuse_rejected(("model", model), ("data set", dataset))
    if request.search is not None:
        check_search(request.search, model, dataset)
    study = StudyRow(
        id=new_id("study"),
        owner=caller.id,
        status="queued",
        name=request.name,
        model_id=model.id,
        dataset_id=dataset and dataset.id,
        request=request.model_dump(mode="json", exclude_none=True),
        open=request.search is not None,
        idempotency_key=idempotency and idempotency.key,
        idempotency_hash=idempotency and idempotency.hash,
        created_at=time.time(),
    )
    session.add(study)
    session.flush()
    add_study_event(session, study.id, "queued")
    return study


def add_jobs(
    session: Session, caller: Caller, study: StudyRow, options: RunOptions, planned: Sequence[PlannedJob]
) -> Sequence[JobRow]:
    """Checks and queues jobs of a study, also of one that is running already; each is run with these options.

    Raises a `Problem` where one can't work, which names its recipe.
    """
    unended = select(JobRow).where(JobRow.study_id == study.id, JobRow.status.in_(UNENDED)).order_by(JobRow.id)
    earlier_jobs = session.scalars(unended).all()
    ids = sorted(new_id("job") for _ in planned)
    rows = [_queued(session, caller, study, options, *each) for each in zip(ids, planned, strict=True)]
    arrange(rows, earlier_jobs)
    return rows


def _queued(
    session: Session, caller: Caller, study: StudyRow, options: RunOptions, job_id: str, planned: PlannedJob
) -> JobRow:
    model = session.get_one(ModelRow, study.model_id)
    dataset = session.get_one(DatasetRow, study.dataset_id) if study.dataset_id else None
    job = _options(options, planned)
    try:
        others = [models.find(session, caller, model_id) for model_id in planned.recipe.models]
        check(job, model, dataset, others)
    except Problem as problem:
        raise _located(problem, planned) from problem
    row = compress_row(study.owner, job, model, dataset)
    row.id, row.study_id, row.control = job_id, study.id, planned.control
    added = {"job": row.id, "control": row.control, "seed": planned.seed}
    add_study_event(session, study.id, "job_added", added)
    return queue_with_models(session, row, others)


def _options(options: RunOptions, planned: PlannedJob) -> JobOptions:
    alike = {name: getattr(options, name) for name in RunOptions.model_fields}
    return JobOptions(**alike, recipe=planned.recipe, seed=planned.seed)


def _located(problem: Problem, planned: PlannedJob) -> Problem:
    """The same, saying which recipe of the request it is about."""
    place = "search" if planned.written is None else f"recipes.{planned.written}"
    if problem.step is not None:
        place = f"{place}.steps.{problem.step}"
    return type(problem)(
        f"`{place}`: {problem.detail}",
        code=problem.code,
        title=problem.title,
        errors=[FieldError(where=place, message=problem.detail)],
        step=problem.step,
    )
