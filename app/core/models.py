"""Uploaded networks."""

import time
from collections.abc import Mapping
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.architectures import Architecture, ModelArchitecture
from app.core.database import Database
from app.core.errors import Conflict, ProblemBody
from app.core.facts import WEIGHTS_ONLY, ArrayFacts, ModelFacts, ModelFormat
from app.core.ids import new_id
from app.core.inputs import Inputs, InputsFrom
from app.core.keys import Caller
from app.core.layouts import layout_of
from app.core.networks import ArchitectureFrom, NetworkOfUpload, given_network, recognized_network
from app.core.pages import Page, find_owned, page_of_owned
from app.core.schemas import Schema
from app.core.storage import StagedFile, Storage
from app.core.tables import DatasetRow, JobModelRow, JobRow, ModelRow, StudyRow
from app.core.times import Time
from app.core.uploads import convert_to_safetensors, read_model

Status = Literal["inspecting", "ready", "rejected"]


class Model(Schema):
    id: str
    object: Literal["model"] = "model"
    name: str
    status: Status
    format: ModelFormat
    size_bytes: int
    sha256: str
    architecture: Architecture | None
    architecture_from: ArchitectureFrom | None
    inputs: Inputs | None
    inputs_from: InputsFrom | None
    facts: ModelFacts | None
    problem: ProblemBody | None
    created_at: Time


class ModelUpload(Schema):
    """What comes with the file."""

    name: str
    architecture: Architecture | None = None
    inputs: Inputs | None = None


class KeptModel(Schema):
    """An upload that passed the static check and lies in the storage, without a row yet."""

    id: str
    upload: ModelUpload
    format: ModelFormat
    size_bytes: int
    sha256: str
    file_key: str
    converted_key: str | None
    layout: str | None

    def keys(self) -> tuple[str, ...]:
        return (self.file_key, *([self.converted_key] if self.converted_key else []))


def keep(storage: Storage, staged: StagedFile, file_name: str, upload: ModelUpload) -> KeptModel:
    """The static check, then the file under its final key. On any failure nothing is left behind."""
    try:
        found = read_model(staged.path, file_name)
        model_id = new_id("model")
        converted = _converted(storage, staged, model_id) if found.format == "state_dict" else None
    except BaseException:
        staged.abort()
        raise
    stored = storage.publish(staged, f"models/{model_id}")
    return KeptModel(
        id=model_id,
        upload=upload,
        format=found.format,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        file_key=stored.key,
        converted_key=converted,
        layout=_layout(found.tensors) if found.format in WEIGHTS_ONLY else None,
    )


def _layout(tensors: Mapping[str, ArrayFacts]) -> str:
    return layout_of({name: facts.shape for name, facts in tensors.items()})


def _converted(storage: Storage, staged: StagedFile, model_id: str) -> str:
    """A pickle is rewritten as safetensors here, so that no worker ever reads a pickle."""
    target = storage.create()
    try:
        convert_to_safetensors(staged.path, target)
    except BaseException:
        target.abort()
        raise
    return storage.publish(target, f"models/{model_id}.safetensors").key


def add(session: Session, caller: Caller, kept: KeptModel, dataset: DatasetRow | None = None) -> ModelRow:
    """The model's row and its inspection, queued. `dataset` helps to find the inputs' shapes."""
    network = _network_of(session, caller, kept)
    row = ModelRow(
        id=kept.id,
        owner=caller.id,
        name=kept.upload.name,
        status="inspecting",
        format=kept.format,
        size_bytes=kept.size_bytes,
        sha256=kept.sha256,
        file_key=kept.file_key,
        converted_key=kept.converted_key,
        architecture=network.architecture and network.architecture.model_dump(mode="json"),
        architecture_from=network.architecture_from,
        base_id=network.base and network.base.id,
        layout=kept.layout,
        given_inputs=kept.upload.inputs and [spec.model_dump(mode="json") for spec in kept.upload.inputs],
        created_at=time.time(),
    )
    session.add(row)
    session.flush()
    jobs.add_inspection(session, caller.id, model=row, dataset=dataset)
    return row


def _network_of(session: Session, caller: Caller, kept: KeptModel) -> NetworkOfUpload:
    given = kept.upload.architecture
    if kept.format not in WEIGHTS_ONLY:
        return NetworkOfUpload(given, "given" if given else None)
    if given is None:
        assert kept.layout is not None
        return recognized_network(session, caller.id, kept.layout)
    named = find(session, caller, given.model) if isinstance(given, ModelArchitecture) else None
    return given_network(given, named)


def create(
    database: Database, storage: Storage, caller: Caller, staged: StagedFile, file_name: str, upload: ModelUpload
) -> Model:
    kept = keep(storage, staged, file_name, upload)
    with storage.forgetting_on_failure(*kept.keys()), database.writing() as session:
        return present(add(session, caller, kept))


def find(session: Session, caller: Caller, model_id: str) -> ModelRow:
    return find_owned(session, caller, ModelRow, model_id, "model", "/v1/models")


def get(database: Database, caller: Caller, model_id: str) -> Model:
    with database.reading() as session:
        return present(find(session, caller, model_id))


def page(database: Database, caller: Caller, limit: int, after: str | None) -> Page[Model]:
    return page_of_owned(database, caller, ModelRow, present, limit=limit, after=after)


def delete(database: Database, storage: Storage, caller: Caller, model_id: str) -> None:
    """Row first, file second: a crash in between leaves a file for the sweeper, never a row without its file."""
    with database.writing() as session:
        row = find(session, caller, model_id)
        _refuse_while_others_rest_on_it(session, model_id)
        named_by = select(JobModelRow.job_id).where(JobModelRow.model_id == model_id)
        uses_it = (JobRow.model_id == model_id) | JobRow.id.in_(named_by)
        jobs.release_from_use(session, uses_it, StudyRow.model_id == model_id, f"model {model_id}")
        keys = [key for key in (row.file_key, row.converted_key) if key]
        session.delete(row)
    for key in keys:
        storage.delete(key)


def _refuse_while_others_rest_on_it(session: Session, model_id: str) -> None:
    dependent = session.scalar(select(ModelRow.id).where(ModelRow.base_id == model_id).limit(1))
    if dependent is not None:
        raise Conflict(
            f"{dependent} holds weights only, and takes its network from {model_id}. Delete {dependent} first.",
            code="in_use",
            title="Something still needs this",
        )


def present(row: ModelRow) -> Model:
    inspection = row.inspection or {}
    return Model.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "status": row.status,
            "format": row.format,
            "size_bytes": row.size_bytes,
            "sha256": row.sha256,
            "architecture": row.architecture,
            "architecture_from": row.architecture_from,
            "inputs": inspection.get("inputs", row.given_inputs),
            "inputs_from": inspection.get("inputs_from", "given" if row.given_inputs else None),
            "facts": inspection.get("facts"),
            "problem": row.problem,
            "created_at": row.created_at,
        }
    )
