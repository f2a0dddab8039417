"""What the start and the end of a job mean for its study; called in the same transaction."""

import time
from collections.abc import Set as AbstractSet

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import Conflict
from app.core.events import add_study_event
from app.core.studies.sharing import UNENDED, hand_over
from app.core.tables import JobRow, StudyRow


def job_started(session: Session, study_id: str) -> None:
    study = session.get(StudyRow, study_id, with_for_update=True)
    if study is not None and study.status == "queued":
        study.status, study.started_at = "running", time.time()
        add_study_event(session, study_id, "started")


def job_ended(session: Session, row: JobRow) -> None:
    session.flush()
    if row.study_id is None:
        return
    add_study_event(session, row.study_id, "job_ended", {"job": row.id, "status": row.status, "control": row.control})
    hand_over(session, row.id)
    conclude_if_over(session, row.study_id)


def conclude_if_over(session: Session, study_id: str) -> None:
    """The row is locked first: of two last jobs that end at once, the second one sees the first."""
    study = session.get_one(StudyRow, study_id, with_for_update=True)
    session.flush()
    statuses = set(session.scalars(select(JobRow.status).where(JobRow.study_id == study_id).distinct()))
    if study.open or study.status not in UNENDED or statuses & set(UNENDED):
        return
    study.status, study.finished_at = _end(study, statuses), time.time()
    add_study_event(session, study_id, study.status)


def _end(study: StudyRow, statuses: AbstractSet[str]) -> str:
    if statuses == {"canceled"} or (study.cancel_requested and ("canceled" in statuses or not statuses)):
        return "canceled"
    return "succeeded" if "succeeded" in statuses else "failed"


def refuse_change_within(session: Session, row: JobRow) -> None:
    """A study counts on its jobs until it is over."""
    study = session.get(StudyRow, row.study_id) if row.study_id else None
    if study is not None and study.status in UNENDED:
        raise Conflict(
            f"{row.id} belongs to {study.id}, which is {study.status}. Wait until it is over, or cancel it with POST "
            f"/v1/studies/{study.id}/cancel; then delete the job, or the whole study.",
            code="in_study",
            title="A study still needs this",
        )
