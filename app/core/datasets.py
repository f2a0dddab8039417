"""Uploaded examples, with or without labels."""

import time
from typing import Literal

from sqlalchemy.orm import Session

from app.core import jobs
from app.core.database import Database
from app.core.errors import ProblemBody
from app.core.facts import ArrayFacts, DatasetFormat, Task
from app.core.ids import new_id
from app.core.images import ImageTransform
from app.core.keys import Caller
from app.core.pages import Page, find_owned, page_of_owned
from app.core.schemas import Schema
from app.core.storage import StagedFile, Storage
from app.core.tables import DatasetRow, JobRow, StudyRow
from app.core.times import Time
from app.core.uploads import read_dataset


class Dataset(Schema):
    id: str
    object: Literal["dataset"] = "dataset"
    name: str
    status: Literal["inspecting", "ready", "rejected"]
    arrays: dict[str, ArrayFacts]
    transform: ImageTransform | None
    task: Task | None
    examples: dict[str, int] | None
    classes: int | None
    size_bytes: int
    sha256: str
    created_at: Time
    problem: ProblemBody | None


class KeptDataset(Schema):
    """An upload that passed the static check and lies in the storage, without a row yet."""

    id: str
    name: str
    format: DatasetFormat
    arrays: dict[str, ArrayFacts]
    transform: ImageTransform | None
    size_bytes: int
    sha256: str
    file_key: str


class DatasetUpload(Schema):
    """What comes with the file."""

    name: str
    transform: ImageTransform | None = None


def keep(storage: Storage, staged: StagedFile, file_name: str, upload: DatasetUpload) -> KeptDataset:
    """The static check, then the file under its final key. On any failure nothing is left behind."""
    try:
        found = read_dataset(staged.path, file_name, upload.transform)
    except BaseException:
        staged.abort()
        raise
    dataset_id = new_id("dataset")
    stored = storage.publish(staged, f"datasets/{dataset_id}")
    return KeptDataset(
        id=dataset_id,
        name=upload.name,
        format=found.format,
        arrays=found.arrays,
        transform=found.transform,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        file_key=stored.key,
    )


def add(session: Session, caller: Caller, kept: KeptDataset) -> DatasetRow:
    """The data set's row and its inspection, queued."""
    row = DatasetRow(
        id=kept.id,
        owner=caller.id,
        name=kept.name,
        status="inspecting",
        format=kept.format,
        size_bytes=kept.size_bytes,
        sha256=kept.sha256,
        file_key=kept.file_key,
        arrays={name: array.model_dump(mode="json") for name, array in kept.arrays.items()},
        transform=kept.transform and kept.transform.model_dump(mode="json"),
        created_at=time.time(),
    )
    session.add(row)
    session.flush()
    jobs.add_inspection(session, caller.id, dataset=row)
    return row


def create(
    database: Database, storage: Storage, caller: Caller, staged: StagedFile, file_name: str, upload: DatasetUpload
) -> Dataset:
    kept = keep(storage, staged, file_name, upload)
    with storage.forgetting_on_failure(kept.file_key), database.writing() as session:
        return present(add(session, caller, kept))


def find(session: Session, caller: Caller, dataset_id: str) -> DatasetRow:
    return find_owned(session, caller, DatasetRow, dataset_id, "data set", "/v1/datasets")


def named(session: Session, caller: Caller, dataset_id: str | None) -> DatasetRow | None:
    """Of a request, in which there may be none. An empty id is an unknown one."""
    return None if dataset_id is None else find(session, caller, dataset_id)


def get(database: Database, caller: Caller, dataset_id: str) -> Dataset:
    with database.reading() as session:
        return present(find(session, caller, dataset_id))


def page(database: Database, caller: Caller, limit: int, after: str | None) -> Page[Dataset]:
    return page_of_owned(database, caller, DatasetRow, present, limit=limit, after=after)


def delete(database: Database, storage: Storage, caller: Caller, dataset_id: str) -> None:
    """Row first, file second: a crash in between leaves a file for the sweeper, never a row without its file."""
    with database.writing() as session:
        row = find(session, caller, dataset_id)
        uses_it, studied = JobRow.dataset_id == dataset_id, StudyRow.dataset_id == dataset_id
        jobs.release_from_use(session, uses_it, studied, f"data set {dataset_id}")
        key = row.file_key
        session.delete(row)
    storage.delete(key)


def present(row: DatasetRow) -> Dataset:
    facts = row.facts or {}
    return Dataset.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "status": row.status,
            "arrays": facts.get("arrays", row.arrays),
            "transform": row.transform,
            "task": facts.get("task"),
            "examples": facts.get("examples"),
            "classes": facts.get("classes"),
            "size_bytes": row.size_bytes,
            "sha256": row.sha256,
            "created_at": row.created_at,
            "problem": row.problem,
        }
    )
