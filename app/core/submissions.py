"""From a request to a queued job."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import datasets, models
from app.core.database import Database
from app.core.errors import Conflict, Invalid, ProblemBody
from app.core.facts import ArrayFacts, ModelInspection
from app.core.job_options import JobOptions, JobRequest
from app.core.jobs import Job, new_row, present, queue_row
from app.core.keys import Caller
from app.core.recipes.recipe import check_data, check_editable, check_facts, check_models, check_order, check_outputs
from app.core.schemas import Schema
from app.core.storage import Storage
from app.core.tables import DatasetRow, JobModelRow, JobRow, ModelRow, StudyRow
from app.core.wanted_files import wanted_files

Submitted = TypeVar("Submitted", JobRow, StudyRow)


class Idempotency(Schema):
    """A caller's key, and the hash of everything that was sent with it."""

    key: str = Field(min_length=1, max_length=200)
    hash: str

    @classmethod
    def of(cls, key: str, content: object) -> "Idempotency":
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return cls(key=key, hash=hashlib.sha256(canonical.encode()).hexdigest())


def check(options: JobOptions, model: ModelRow, dataset: DatasetRow | None, others: Sequence[ModelRow]) -> None:
    """Refuses what can't work. What only facts can tell is checked once they are there (see `queue.py`).

    `others` are the models that steps name.
    """
    refuse_rejected(("model", model), ("data set", dataset), *(("model", other) for other in others))
    inspection = None if model.inspection is None else ModelInspection.model_validate(model.inspection)
    facts = None if inspection is None else inspection.facts
    if options.recipe.steps is not None:
        check_order(options.recipe.steps)
        if inspection is not None and not inspection.facts.runs:
            check_facts(options.recipe.steps, inspection.facts)  # before a data set is asked for, which wouldn't help
        check_outputs(options.recipe.steps, options.formats)
        check_data(options.recipe.steps, _task_of(dataset), _arrays_of(dataset), facts)
    if inspection is None or facts is None:
        return
    wanted = wanted_files(options, facts, has_data=dataset is not None)
    steps = wanted.steps
    check_outputs(steps, wanted.outputs)
    check_editable(facts, wanted.outputs)
    check_facts(steps, facts)
    named = {other.id: ModelInspection.model_validate(other.inspection) for other in others if other.inspection}
    if len(named) == len(others):
        check_models(steps, inspection, named)


def _task_of(dataset: DatasetRow | None) -> Any:
    """A data set that is still inspected counts as labelled when it has an array of labels."""
    if dataset is None:
        return None
    if dataset.facts is not None:
        return dataset.facts["task"]
    return "classification" if {"y", "y_train"} & dataset.arrays.keys() else "unlabelled"


def _arrays_of(dataset: DatasetRow | None) -> dict[str, ArrayFacts]:
    arrays = {} if dataset is None else dataset.arrays
    return {name: ArrayFacts.model_validate(array) for name, array in arrays.items()}


def named_models(session: Session, caller: Caller, options: JobOptions) -> list[ModelRow]:
    """Those that steps name."""
    return [models.find(session, caller, model_id) for model_id in options.recipe.models]


def refuse_rejected(*named: tuple[str, ModelRow | DatasetRow | None]) -> None:
    for what, row in named:
        if row is not None and row.status == "rejected":
            problem = ProblemBody.model_validate(row.problem)
            raise Invalid(
                f"The {what} {row.id} was rejected: {problem.detail} Upload it again with that mended.",
                code=problem.code,
                title=f"The {what} can't be used",
            )


def submit(
    session: Session,
    caller: Caller,
    options: JobOptions,
    model: ModelRow,
    dataset: DatasetRow | None,
    idempotency: Idempotency | None = None,
) -> JobRow:
    """Checks and queues. Call `earlier_job` first where there is an idempotency key."""
    others = named_models(session, caller, options)
    check(options, model, dataset, others)
    row = compress_row(caller.id, options, model, dataset)
    if idempotency is not None:
        row.idempotency_key, row.idempotency_hash = idempotency.key, idempotency.hash
    return queue_with_models(session, row, others)


def compress_row(owner: str, options: JobOptions, model: ModelRow, dataset: DatasetRow | None) -> JobRow:
    request = options.model_dump(mode="json", exclude={"model", "dataset"}, exclude_none=True)
    row = new_row(owner, "compress", request, model, dataset)
    row.name = options.name
    return row


def queue_with_models(session: Session, row: JobRow, others: Sequence[ModelRow]) -> JobRow:
    """`others` are the models that its steps name."""
    queue_row(session, row)
    session.add_all(JobModelRow(job_id=row.id, model_id=other.id) for other in others)
    return row


def earlier_job(session: Session, caller: Caller, idempotency: Idempotency | None) -> JobRow | None:
    return earlier(session, JobRow, caller, idempotency)


def earlier(
    session: Session, table: type[Submitted], caller: Caller, idempotency: Idempotency | None
) -> Submitted | None:
    """What the same key made before; the same key with another body is refused."""
    if idempotency is None:
        return None
    row = session.scalar(select(table).where(table.owner == caller.id, table.idempotency_key == idempotency.key))
    if row is not None and row.idempotency_hash != idempotency.hash:
        raise Conflict(
            f"The Idempotency-Key {idempotency.key!r} was used before with another body, for {row.id}. "
            "Send a new key with a new request.",
            code="idempotency_key_reused",
            title="The key belongs to another request",
        )
    return row


def submit_request(database: Database, caller: Caller, request: JobRequest, idempotency: Idempotency | None) -> Job:
    """A job on a model, and a data set, that are here already."""
    with database.writing() as session:
        row = earlier_job(session, caller, idempotency)
        if row is None:
            model = models.find(session, caller, request.model)
            dataset = datasets.named(session, caller, request.dataset)
            row = submit(session, caller, request, model, dataset, idempotency)
        return present(row)


def submit_upload(
    database: Database,
    storage: Storage,
    caller: Caller,
    options: JobOptions,
    kept_model: models.KeptModel,
    kept_dataset: datasets.KeptDataset | None,
    idempotency: Idempotency | None,
) -> Job:
    """Model, data and job from one call: all of them are kept, or none."""
    keys = (*kept_model.keys(), *([kept_dataset.file_key] if kept_dataset else []))
    with storage.forgetting_on_failure(*keys), database.writing() as session:
        row = earlier_job(session, caller, idempotency)
        if row is None:
            dataset = datasets.add(session, caller, kept_dataset) if kept_dataset else None
            model = models.add(session, caller, kept_model, dataset)
            return present(submit(session, caller, options, model, dataset, idempotency))
        earlier = present(row)
    for key in keys:
        storage.delete(key)
    return earlier
