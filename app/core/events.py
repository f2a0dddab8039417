"""What happened to a job, in order. An event's id is its place in the stream, so a reader can resume."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.schemas import Schema
from app.core.tables import EventRow
from app.core.times import Time


class Event(Schema):
    """`type`: queued, started, resumed, progress, epoch, warning, lost, released, canceling, succeeded, failed or
    canceled."""

    id: int
    type: str
    time: Time
    data: dict[str, Any]


def add_event(session: Session, job_id: str, kind: str, data: dict[str, Any] | None = None) -> None:
    session.add(EventRow(job_id=job_id, type=kind, data=data or {}, created_at=time.time()))


def events_after(session: Session, job_id: str, after: int, limit: int) -> Sequence[Event]:
    query = select(EventRow).where(EventRow.job_id == job_id, EventRow.id > after).order_by(EventRow.id).limit(limit)
    return [Event(id=row.id, type=row.type, time=row.created_at, data=row.data) for row in session.scalars(query)]
