import sqlite3
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from alembic import command
from app.core.database import Database, alembic_config
from app.core.tables import DatasetRow, EventRow, KeyRow, Table
from tests.core.rows import dataset_row


def test_migrated_schema_equals_the_tables(database: Database) -> None:
    with database.connecting() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.migrate()


def test_a_data_set_outlives_the_column_for_transforms(database: Database) -> None:
    with database.writing() as session:
        session.add(dataset_row(transform={"size": [8, 8], "mean": [0.5], "std": [0.5]}))
    for move, revision in ((command.downgrade, "0002"), (command.upgrade, "head")):
        with database.connecting() as connection:
            move(alembic_config(connection), revision)
    with database.reading() as session:
        row = session.get(DatasetRow, "dataset_1")
    assert row is not None
    assert (row.format, row.transform) == ("npz", None)


def test_sqlite_is_set_up_for_many_processes(database: Database) -> None:
    with database.connecting() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
    assert pragmas == ["wal", 1]


def test_a_row_without_its_job_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="FOREIGN KEY"), database.writing() as session:
        session.add(EventRow(job_id="job_none", type="queued", data={}, created_at=0.0))


def test_writers_take_turns_instead_of_failing(database: Database) -> None:
    """With a deferred BEGIN this fails with "database is locked", since each thread reads before it writes."""

    def write(worker: int) -> None:
        for number in range(25):
            with database.writing() as session:
                session.get(KeyRow, "none")
                row = {"name": "k", "prefix": "mp_", "scopes": [], "created_at": 0.0}
                session.add(KeyRow(id=f"{worker}.{number}", digest=f"{worker}.{number}", **row))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.query(KeyRow).count() == 100


def test_a_crash_inside_a_transaction_keeps_nothing_of_it(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as session:
        session.add(KeyRow(id="k", digest="d", name="k", prefix="mp_", scopes=[], created_at=0.0))
        raise RuntimeError
    with database.reading() as session:
        assert session.get(KeyRow, "k") is None


def test_wal_needs_no_other_process(database: Database, settings) -> None:
    assert sqlite3.connect(settings.data_dir / "modelpress.db").execute("select count(*) from jobs").fetchone() == (0,)
