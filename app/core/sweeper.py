"""Removes what a crash left: files without a row, folders and logs of jobs that are gone."""

import shutil
import time
from pathlib import Path

from sqlalchemy import Select, select

from app.core.checkpoints import holder_of
from app.core.database import Database
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.tables import ArtifactRow, DatasetRow, JobRow, ModelRow, StudyRow


def sweep(database: Database, storage: Storage, settings: Settings) -> list[str]:
    """What was removed. Only what is older than `orphan_seconds`, since a newer file may be about to get its row."""
    oldest_kept = time.time() - settings.orphan_seconds
    files = [key for key in storage.all_keys() if _modified(storage.path(key)) < oldest_kept]
    folders = [path for path in _children(settings.work_dir) if _modified(path) < oldest_kept]
    logs = [path for path in _children(settings.logs_dir) if _modified(path) < oldest_kept]
    named, running, unended, known = _rows(database)
    orphans = [key for key in files if key not in named and holder_of(key) not in unended]
    for key in orphans:
        storage.delete(key)
    stale = [folder for folder in folders if folder.name not in running]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    lost_logs = [log for log in logs if log.stem not in known]
    for log in lost_logs:
        log.unlink(missing_ok=True)
    return orphans + [path.name for path in (*stale, *lost_logs)]


def _rows(database: Database) -> tuple[set[str], set[str], set[str], set[str]]:
    """Keys that rows name, folders of running jobs, ids of jobs and studies that aren't over, ids of all jobs: read
    after the files were listed."""
    with database.reading() as session:
        columns = (ModelRow.file_key, ModelRow.converted_key, DatasetRow.file_key, ArtifactRow.file_key)
        named = {key for column in columns for key in session.scalars(select(column)) if key}
        running = session.execute(select(JobRow.id, JobRow.attempt).where(JobRow.status == "running"))
        folders = {work_folder_name(job, attempt) for job, attempt in running}
        unended = {each for table in (JobRow, StudyRow) for each in session.scalars(_unended(table))}
        return named, folders, unended, set(session.scalars(select(JobRow.id)))


def _unended(table: type[JobRow] | type[StudyRow]) -> Select[str]:
    return select(table.id).where(table.status.in_(("queued", "running")))


def work_folder_name(job: str, attempt: int) -> str:
    return f"{job}.{attempt}"


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
