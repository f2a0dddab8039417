"""Files that jobs made: file first, row second, published exactly once."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.database import Database
from app.core.errors import NotFound
from app.core.keys import Caller
from app.core.queue import Claim, Queue
from app.core.schemas import Schema
from app.core.storage import Storage, StoredFile
from app.core.tables import ArtifactRow

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".json": "application/json",
    ".zip": "application/zip",
}


class Artifact(Schema):
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str


def publish(
    database: Database, storage: Storage, queue: Queue, claim: Claim, files: Mapping[str, Path], result: Schema
) -> None:
    """Stores every file under the name it is given, then commits the rows and the job's success together.

    Raises `LeaseLost` where another worker holds the job by now; then none of the files stays.
    """
    stored: list[tuple[str, StoredFile]] = []
    try:
        for name, path in files.items():
            stored.append((name, storage.store(path, f"jobs/{claim.job}/{claim.attempt}/{name}")))
        with database.writing() as session:
            queue.finish(session, claim, "succeeded", result=result.model_dump(mode="json"), fraction=1.0, step=None)
            session.add_all(_row(claim, name, file) for name, file in stored)
    except BaseException:
        for _, file in stored:
            storage.delete(file.key)
        raise


def _row(claim: Claim, name: str, file: StoredFile) -> ArtifactRow:
    return ArtifactRow(
        job_id=claim.job,
        name=name,
        media_type=MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        file_key=file.key,
        created_at=time.time(),
    )


def of_job(database: Database, caller: Caller, job_id: str) -> Sequence[Artifact]:
    with database.reading() as session:
        jobs.find(session, caller, job_id)
        rows = session.scalars(select(ArtifactRow).where(ArtifactRow.job_id == job_id).order_by(ArtifactRow.name))
        return [_present(row) for row in rows]


def find(session: Session, caller: Caller, job_id: str, name: str) -> ArtifactRow:
    jobs.find(session, caller, job_id)
    row = session.get(ArtifactRow, (job_id, name))
    if row is None:
        raise NotFound(f"{job_id} has no file {name!r}. GET /v1/jobs/{job_id}/artifacts lists those it has.")
    return row


def _present(row: ArtifactRow) -> Artifact:
    return Artifact(
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        url=jobs.artifact_url(row.job_id, row.name),
    )
