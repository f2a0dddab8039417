"""One database, two kinds of transaction: `reading()` and `writing()`.

SQLite runs in WAL mode. A writing transaction begins with BEGIN IMMEDIATE: a deferred one that turns into a writer
later fails with "database is locked" at once, whatever the busy time-out. No other work belongs inside a
transaction, since a process that freezes there blocks every writer.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.core.errors import Busy, OutOfSpace, Problem

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_TIMEOUT_MS = 5_000
MIGRATIONS = Path(__file__).resolve().parents[2] / "alembic"


class Database:
    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, pool_size=16, max_overflow=16)
        self._writing_engine = self._engine.execution_options(writing=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with _told_plainly(), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Commits at the end of the block, or rolls everything back."""
        with _told_plainly(), Session(self._writing_engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def connecting(self) -> Iterator[Connection]:
        """A plain connection inside one writing transaction, for migrations."""
        with _told_plainly(), self._writing_engine.begin() as connection:
            yield connection

    def migrate(self) -> None:
        """Brings the tables to the newest version, from nothing or from any earlier one."""
        from alembic import command  # slow to import, and the web service starts without it

        with self.connecting() as connection:
            command.upgrade(alembic_config(connection), "head")

    def close(self) -> None:
        self._engine.dispose()


def alembic_config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own implicit BEGIN is a deferred one
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise _as_problem(error) or error from error


def _as_problem(error: OperationalError) -> Problem | None:
    text = str(error.orig)
    if "locked" in text or "busy" in text:
        return Busy("The database is busy. Send the request again in a moment.", retry_after=1)
    if "full" in text:
        return OutOfSpace("The disk of the database is full; nothing was changed. Free space, then try again.")
    return None
