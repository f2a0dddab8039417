"""Counts over the whole database, for monitoring."""

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.schemas import Schema
from app.core.tables import ArtifactRow, DatasetRow, JobRow, ModelRow


class JobStatistics(Schema):
    """Of the jobs of one kind and status; `run_seconds` sums what those that ran took."""

    kind: str
    status: str
    count: int
    run_seconds: float


class Statistics(Schema):
    jobs: tuple[JobStatistics, ...]
    oldest_queued_seconds: float
    models: dict[str, int]
    datasets: dict[str, int]
    stored_bytes: dict[str, int]


def statistics(database: Database) -> Statistics:
    with database.reading() as session:
        return Statistics(
            jobs=_jobs(session),
            oldest_queued_seconds=_oldest_queued_seconds(session),
            models=_by_status(session, ModelRow),
            datasets=_by_status(session, DatasetRow),
            stored_bytes={
                table.__tablename__: session.scalar(select(func.coalesce(func.sum(table.size_bytes), 0))) or 0
                for table in (ModelRow, DatasetRow, ArtifactRow)
            },
        )


def _jobs(session: Session) -> tuple[JobStatistics, ...]:
    seconds = func.coalesce(func.sum(JobRow.finished_at - JobRow.started_at), 0.0)
    query = select(JobRow.kind, JobRow.status, func.count(), seconds).group_by(JobRow.kind, JobRow.status)
    return tuple(
        JobStatistics(kind=kind, status=status, count=count, run_seconds=run_seconds)
        for kind, status, count, run_seconds in session.execute(query)
    )


def _oldest_queued_seconds(session: Session) -> float:
    oldest = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.status == "queued"))
    return 0.0 if oldest is None else max(0.0, time.time() - oldest)


def _by_status(session: Session, table: type[ModelRow] | type[DatasetRow]) -> dict[str, int]:
    query = select(table.status, func.count()).group_by(table.status)
    return dict(session.execute(query).all())
