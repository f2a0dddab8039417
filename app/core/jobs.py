"""Jobs as callers see them. `submissions.py` makes them, `queue.py` hands them to workers."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.endings import ended
from app.core.errors import Conflict, ProblemBody
from app.core.events import add_event
from app.core.ids import new_id
from app.core.job_options import Auto, Goal, JobLimits
from app.core.keys import Caller
from app.core.logs import Logs
from app.core.measurements import OutputFormat, Result
from app.core.pages import Page, find_owned, page_of_owned
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema
from app.core.sensitivities import Sensitivity
from app.core.storage import Storage
from app.core.studies.gate import GateReading
from app.core.studies.lifecycle import refuse_change_within
from app.core.studies.sharing import UNENDED
from app.core.tables import ArtifactRow, DatasetRow, JobRow, ModelRow, StudyRow
from app.core.tasks import MeasureOptions
from app.core.times import Time

JobKind = Literal["compress", "inspect", "sensitivity", "gate"]
Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
FINISHED: tuple[Status, ...] = ("succeeded", "failed", "canceled")


class JobProgress(Schema):
    fraction: float
    step: int | None
    message: str | None


class JobUrls(Schema):
    self: str
    events: str
    logs: str
    report: str
    artifacts: str
    cancel: str


class Job(Schema):
    id: str
    object: Literal["job"] = "job"
    kind: JobKind
    name: str | None
    status: Status
    done: bool
    attempt: int
    losses: tuple[str, ...] = Field(description="Why earlier attempts ended without a result.")
    progress: JobProgress
    model: str | None
    dataset: str | None
    study: str | None = Field(description="The study that it belongs to.")
    recipe: Recipe | None
    outputs: tuple[OutputFormat | Auto, ...] | None
    seed: int | None
    minimize: Goal | None
    measure: MeasureOptions | None
    limits: JobLimits | None
    result: Result | Sensitivity | GateReading | None = Field(
        description="Of a job of kind `sensitivity` or `gate`, what it has found."
    )
    error: ProblemBody | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    urls: JobUrls


def add_inspection(
    session: Session, owner: str, *, model: ModelRow | None = None, dataset: DatasetRow | None = None
) -> JobRow:
    return queue_row(session, new_row(owner, "inspect", {}, model, dataset))


def new_row(
    owner: str, kind: JobKind, request: dict[str, Any], model: ModelRow | None, dataset: DatasetRow | None
) -> JobRow:
    ids = {"model": model and model.id, "dataset": dataset and dataset.id}
    return JobRow(
        id=new_id("job"),
        owner=owner,
        kind=kind,
        status="queued",
        model_id=ids["model"],
        dataset_id=ids["dataset"],
        request={**ids, **request},
        created_at=time.time(),
    )


def queue_row(session: Session, row: JobRow) -> JobRow:
    session.add(row)
    session.flush()
    add_event(session, row.id, "queued")
    return row


def find(session: Session, caller: Caller, job_id: str) -> JobRow:
    return find_owned(session, caller, JobRow, job_id, "job", "/v1/jobs")


def get(database: Database, caller: Caller, job_id: str) -> Job:
    with database.reading() as session:
        return present(find(session, caller, job_id))


def page(
    database: Database,
    caller: Caller,
    limit: int,
    after: str | None,
    *,
    status: Status | None = None,
    model: str | None = None,
    study: str | None = None,
    kind: JobKind | None = None,
) -> Page[Job]:
    wanted = ((JobRow.status, status), (JobRow.study_id, study), (JobRow.kind, kind))
    conditions = [column == value for column, value in wanted if value is not None]
    if model is not None:
        conditions.append(_is_of(model))
    return page_of_owned(database, caller, JobRow, present, *conditions, limit=limit, after=after)


def _is_of(model: str) -> ColumnElement[bool]:
    """A job outlives its model: then only its request still names it."""
    is_of: ColumnElement[bool] = JobRow.model_id == model
    was_of: ColumnElement[bool] = JobRow.request["model"].as_string() == model
    return is_of | (JobRow.model_id.is_(None) & was_of)


def cancel(database: Database, caller: Caller, job_id: str) -> Job:
    """A queued job is canceled at once; a running one when its child is gone, which its worker sees to."""
    with database.writing() as session:
        row = find(session, caller, job_id)
        if row.status in {"succeeded", "failed"}:
            raise Conflict(
                f"{job_id} has already {row.status}; there is nothing to cancel. GET /v1/jobs/{job_id} shows how it "
                f"ended, and DELETE /v1/jobs/{job_id} removes it with its files.",
                code="job_finished",
            )
        cancel_row(session, row)
        return present(row)


def cancel_row(session: Session, row: JobRow) -> None:
    if row.status == "queued":
        row.status, row.finished_at, row.cancel_requested = "canceled", time.time(), True
        ended(session, row)
    elif row.status == "running" and not row.cancel_requested:
        row.cancel_requested = True
        add_event(session, row.id, "canceling")


def delete_job(database: Database, storage: Storage, logs: Logs, caller: Caller, job_id: str) -> None:
    """Rows first, files second: a crash in between leaves files for the sweeper, never a row without its file."""
    with database.writing() as session:
        row = find(session, caller, job_id)
        if row.status not in FINISHED:
            raise Conflict(
                f"{job_id} is {row.status}. Cancel it with POST /v1/jobs/{job_id}/cancel, then delete it.",
                code="job_running",
            )
        refuse_change_within(session, row)
        keys = delete_rows(session, [row])
    delete_files(storage, logs, [job_id], keys)


def delete_rows(session: Session, rows: Sequence[JobRow]) -> Sequence[str]:
    """The keys of their files, which go once the rows are gone."""
    ids = [row.id for row in rows]
    keys = list(session.scalars(select(ArtifactRow.file_key).where(ArtifactRow.job_id.in_(ids))))
    for row in rows:
        session.delete(row)
    session.flush()
    return keys


def delete_files(storage: Storage, logs: Logs, job_ids: Sequence[str], keys: Sequence[str]) -> None:
    for job_id in job_ids:
        logs.delete(job_id)
    for key in keys:
        storage.delete(key)


def release_from_use(session: Session, uses_it: ColumnElement[bool], studied: ColumnElement[bool], what: str) -> None:
    """Before a model or a data set goes: refuse while a job or a study needs it, drop its inspections."""
    waiting_inspection = (JobRow.kind == "inspect") & (JobRow.status != "running")
    unended_job = select(JobRow.id).where(uses_it, JobRow.status.in_(UNENDED), ~waiting_inspection)
    unended_study = select(StudyRow.id).where(studied, StudyRow.status.in_(UNENDED))
    for noun, users in (("studies", unended_study), ("jobs", unended_job)):
        user = session.scalar(users.limit(1))
        if user is not None:
            raise Conflict(
                f"{user} still needs the {what}. Wait for it, or cancel it with POST /v1/{noun}/{user}/cancel, then "
                "try again.",
                code="in_use",
                title="Something still needs this",
            )
    session.execute(delete(JobRow).where(uses_it, JobRow.kind == "inspect"))


def artifact_url(job_id: str, name: str) -> str:
    return f"/v1/jobs/{job_id}/artifacts/{name}"


def present(row: JobRow) -> Job:
    url = f"/v1/jobs/{row.id}"
    request = row.request
    return Job.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "name": row.name,
            "study": row.study_id,
            "status": row.status,
            "done": row.status in FINISHED,
            "attempt": row.attempt,
            "losses": row.losses,
            "progress": {"fraction": row.fraction, "step": row.step, "message": row.message},
            **{name: request.get(name) for name in _REQUEST_FIELDS},
            "result": row.result,
            "error": row.error,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "urls": {
                "self": url,
                **{name: f"{url}/{name}" for name in ("events", "logs", "report", "artifacts", "cancel")},
            },
        }
    )


_REQUEST_FIELDS = ("model", "dataset", "recipe", "outputs", "seed", "minimize", "measure", "limits")
