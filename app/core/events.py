"""What happened to a job or a study, in order. An event's id is its place in the stream, so a reader can resume."""

import time
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.core.schemas import Schema
from app.core.tables import EventRow, StudyEventRow
from app.core.times import Time

Row = TypeVar("Row", EventRow, StudyEventRow)


class Event(Schema):
    """`type` of a job's: queued, started, resumed, progress, epoch, warning, lost, released, canceling, succeeded,
    failed or canceled. Of a study's: queued, job_added, started, job_ended, canceling, succeeded, failed or canceled.
    """

    id: int
    type: str
    time: Time
    data: dict[str, Any]


def add_event(session: Session, job_id: str, kind: str, data: dict[str, Any] | None = None) -> None:
    session.add(EventRow(job_id=job_id, type=kind, data=data or {}, created_at=time.time()))


def add_study_event(session: Session, study_id: str, kind: str, data: dict[str, Any] | None = None) -> None:
    session.add(StudyEventRow(study_id=study_id, type=kind, data=data or {}, created_at=time.time()))


def events_after(session: Session, job_id: str, after: int, limit: int) -> Sequence[Event]:
    return _shown(session, select(EventRow).where(EventRow.job_id == job_id), EventRow, after, limit)


def study_events_after(session: Session, study_id: str, after: int, limit: int) -> Sequence[Event]:
    query = select(StudyEventRow).where(StudyEventRow.study_id == study_id)
    return _shown(session, query, StudyEventRow, after, limit)


def _shown(session: Session, query: Select[Row], table: type[Row], after: int, limit: int) -> Sequence[Event]:
    rows = session.scalars(query.where(table.id > after).order_by(table.id).limit(limit))
    return [Event(id=row.id, type=row.type, time=row.created_at, data=row.data) for row in rows]
