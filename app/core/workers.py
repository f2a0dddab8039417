"""Workers' signs of life, and what their sandboxes were found to do."""

import time

from sqlalchemy import delete, select

from app.core.database import Database
from app.core.sandbox import SandboxReport
from app.core.schemas import Schema
from app.core.tables import WorkerRow

LOST_AFTER_SECONDS = 15.0


class WorkerState(Schema):
    id: str
    seen_seconds_ago: float
    sandbox: SandboxReport

    @property
    def alive(self) -> bool:
        return self.seen_seconds_ago < LOST_AFTER_SECONDS


def sign_on(database: Database, worker: str, sandbox: SandboxReport) -> None:
    now = time.time()
    with database.writing() as session:
        session.merge(WorkerRow(id=worker, started_at=now, seen_at=now, sandbox=sandbox.model_dump(mode="json")))
        session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - 86_400))


def sign_of_life(database: Database, worker: str) -> None:
    with database.writing() as session:
        row = session.get(WorkerRow, worker)
        if row is not None:
            row.seen_at = time.time()


def sign_off(database: Database, worker: str) -> None:
    with database.writing() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.id == worker))


def latest(database: Database) -> WorkerState | None:
    with database.reading() as session:
        row = session.scalar(select(WorkerRow).order_by(WorkerRow.seen_at.desc()).limit(1))
        if row is None:
            return None
        return WorkerState(
            id=row.id,
            seen_seconds_ago=max(0.0, time.time() - row.seen_at),
            sandbox=SandboxReport.model_validate(row.sandbox),
        )
