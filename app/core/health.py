"""Whether the service can work, and if not, why."""

import os
import shutil
import sqlite3
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.core import workers
from app.core.database import Database
from app.core.errors import Problem
from app.core.sandbox import SandboxReport
from app.core.schemas import Schema
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.tables import JobRow
from app.core.workers import WorkerState

SAFE_SQLITE = (3, 51, 3)


class DatabaseHealth(Schema):
    ok: bool
    kind: str
    sqlite_version: str | None


class StorageHealth(Schema):
    ok: bool
    free_bytes: int


class WorkerHealth(Schema):
    ok: bool
    id: str | None
    seen_seconds_ago: float | None


class Readiness(Schema):
    status: Literal["ready", "not_ready"]
    database: DatabaseHealth
    storage: StorageHealth
    worker: WorkerHealth
    sandbox: SandboxReport | None
    warnings: tuple[str, ...]


def readiness(database: Database, storage: Storage, settings: Settings) -> Readiness:
    tables = database_health(database)
    files = storage_health(storage, settings)
    latest = workers.latest(database) if tables.ok else None
    worker = _worker_health(latest)
    return Readiness(
        status="ready" if tables.ok and files.ok and worker.ok else "not_ready",
        database=tables,
        storage=files,
        worker=worker,
        sandbox=latest.sandbox if latest else None,
        warnings=tuple(_warnings(tables, files, worker)),
    )


def database_health(database: Database) -> DatabaseHealth:
    is_sqlite = database.url.startswith("sqlite")
    version = sqlite3.sqlite_version if is_sqlite else None
    kind = "sqlite" if is_sqlite else database.url.partition(":")[0].partition("+")[0]
    try:
        with database.reading() as session:
            session.scalar(select(JobRow.id).limit(1))
    except (SQLAlchemyError, Problem):
        return DatabaseHealth(ok=False, kind=kind, sqlite_version=version)
    return DatabaseHealth(ok=True, kind=kind, sqlite_version=version)


def storage_health(storage: Storage, settings: Settings) -> StorageHealth:
    try:
        free = shutil.disk_usage(storage.root).free
    except OSError:
        return StorageHealth(ok=False, free_bytes=0)
    writable = os.access(storage.root, os.W_OK | os.X_OK)
    return StorageHealth(ok=writable and free >= settings.min_free_bytes, free_bytes=free)


def _worker_health(latest: WorkerState | None) -> WorkerHealth:
    if latest is None:
        return WorkerHealth(ok=False, id=None, seen_seconds_ago=None)
    return WorkerHealth(ok=latest.alive, id=latest.id, seen_seconds_ago=latest.seen_seconds_ago)


def _warnings(database: DatabaseHealth, storage: StorageHealth, worker: WorkerHealth) -> list[str]:
    warnings = []
    if not database.ok:
        warnings.append("The database doesn't answer, or its tables are missing: run `modelpress migrate`.")
    if database.sqlite_version and tuple(map(int, database.sqlite_version.split("."))) < SAFE_SQLITE:
        warnings.append(
            f"SQLite {database.sqlite_version} has a fault that can, in rare cases, damage a database with several "
            f"connections; {'.'.join(map(str, SAFE_SQLITE))} is the first without it."
        )
    if not storage.ok:
        warnings.append("The files' folder can't be written to, or its disk is nearly full.")
    if not worker.ok:
        warnings.append("No worker has given a sign of life lately: start one with `modelpress worker`.")
    return warnings
