"""Studies as callers see them, cancel them and delete them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.checkpoints import forget
from app.core.database import Database
from app.core.errors import Conflict
from app.core.events import add_study_event
from app.core.keys import Caller
from app.core.logs import Logs
from app.core.pages import Page, find_owned, page_of_owned
from app.core.storage import Storage
from app.core.studies.best import best_of, warnings_about
from app.core.studies.comparing import StudyJob, compared, failures, gate_of, saved
from app.core.studies.lifecycle import conclude_if_over
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import ReportedStudy, Study, StudySummary
from app.core.studies.verdict import best_of_search
from app.core.tables import DatasetRow, JobRow, ModelRow, StudyRow


def find(session: Session, caller: Caller, study_id: str) -> StudyRow:
    return find_owned(session, caller, StudyRow, study_id, "study", "/v1/studies")


def get(database: Database, caller: Caller, study_id: str) -> Study:
    with database.reading() as session:
        return present(session, find(session, caller, study_id))


def get_summary(database: Database, caller: Caller, study_id: str) -> StudySummary:
    with database.reading() as session:
        return summary(find(session, caller, study_id))


def page(
    database: Database, caller: Caller, limit: int, after: str | None, *, status: jobs.Status | None = None
) -> Page[StudySummary]:
    conditions = [StudyRow.status == status] if status is not None else []
    return page_of_owned(database, caller, StudyRow, summary, *conditions, limit=limit, after=after)


def cancel(database: Database, caller: Caller, study_id: str) -> Study:
    """Its queued jobs at once, its running ones as soon as their children are gone."""
    with database.writing() as session:
        study = find(session, caller, study_id)
        if study.status in {"succeeded", "failed"}:
            raise Conflict(
                f"{study_id} has already {study.status}; there is nothing to cancel. GET /v1/studies/{study_id} shows "
                f"how it ended, and DELETE /v1/studies/{study_id} removes it with its jobs.",
                code="study_finished",
            )
        if not study.cancel_requested:
            study.cancel_requested, study.open = True, False
            add_study_event(session, study_id, "canceling")
            for row in _rows(session, study_id):
                jobs.cancel_row(session, row)
            conclude_if_over(session, study_id)
        return present(session, study)


def delete(database: Database, storage: Storage, logs: Logs, caller: Caller, study_id: str) -> None:
    """With all its jobs. Rows first, files second."""
    with database.writing() as session:
        study = find(session, caller, study_id)
        if study.status not in jobs.FINISHED:
            raise Conflict(
                f"{study_id} is {study.status}. Cancel it with POST /v1/studies/{study_id}/cancel, then delete it.",
                code="study_running",
            )
        rows = _rows(session, study_id)
        keys = jobs.delete_rows(session, rows)
        session.delete(study)
    jobs.delete_files(storage, logs, [row.id for row in rows], keys)
    forget(storage, study_id)


def _rows(session: Session, study_id: str) -> list[JobRow]:
    return list(session.scalars(select(JobRow).where(JobRow.study_id == study_id).order_by(JobRow.id)))


def get_reported(database: Database, caller: Caller, study_id: str) -> ReportedStudy:
    """With the names of what it worked on; a study without a result has nothing to report yet."""
    with database.reading() as session:
        row = find(session, caller, study_id)
        study = present(session, row)
        model = session.get(ModelRow, row.model_id) if row.model_id else None
        dataset = session.get(DatasetRow, row.dataset_id) if row.dataset_id else None
    if not study.groups:
        raise Conflict(
            f"None of the jobs of {study_id} has succeeded. GET /v1/studies/{study_id} tells how they stand.",
            code="no_report",
            title="There is no report",
        )
    names = {"model_name": model.name if model else "a deleted model", "dataset_name": dataset and dataset.name}
    return ReportedStudy.model_validate({"study": study, **names})


def present(session: Session, study: StudyRow) -> Study:
    rows = _rows(session, study.id)
    found = [StudyJob.of(row) for row in rows if row.kind == "compress"]
    request = StudyRequest.model_validate(study.request)
    comparison, gate = compared(found), gate_of(rows)
    failed = tuple(failures(found))
    return Study(
        **_summary_fields(study),
        request=request,
        points=comparison.points,
        front=tuple(point.job for point in comparison.points if point.on_front),
        best=(
            best_of(comparison, request.minimize)
            if request.search is None
            else best_of_search(comparison, request.search, gate)
        ),
        groups=comparison.groups,
        baseline=comparison.baseline,
        metric=comparison.metric,
        saved=saved(found),
        gate=gate,
        failures=failed,
        warnings=tuple(warnings_about(comparison, len(failed))),
    )


def summary(study: StudyRow) -> StudySummary:
    return StudySummary(**_summary_fields(study))


def _summary_fields(study: StudyRow) -> dict[str, Any]:
    url = f"/v1/studies/{study.id}"
    return {
        "id": study.id,
        "name": study.name,
        "status": study.status,
        "done": study.status in jobs.FINISHED,
        "model": study.model_id,
        "dataset": study.dataset_id,
        "created_at": study.created_at,
        "started_at": study.started_at,
        "finished_at": study.finished_at,
        "urls": {
            "self": url,
            **{name: f"{url}/{name}" for name in ("events", "report", "cancel")},
            "jobs": f"/v1/jobs?study={study.id}",
        },
    }
