"""The folder that a job's children work over, and what they are told about the files in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.database import Database
from app.core.errors import NotFound
from app.core.queue import Claim
from app.core.settings import Settings
from app.core.storage import Storage, no_space_left_is_a_problem
from app.core.sweeper import work_folder_name
from app.core.tables import DatasetRow, ModelRow
from app.core.tasks import DatasetFile, ModelFile

MODEL = "inputs/model"
BASE = "inputs/base"
DATASET = "inputs/dataset"


class JobFolder:
    """The rows are as they were when the job was claimed; `base` is of the model whose network `model` takes."""

    def __init__(self, path: Path, model: ModelRow | None, base: ModelRow | None, dataset: DatasetRow | None) -> None:
        self.path = path
        self.model = model
        self.base = base
        self.dataset = dataset

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    def model_file(self) -> ModelFile:
        """Raises `NotFound` where the model was deleted meanwhile."""
        row = self.model
        if row is None:
            raise NotFound("The job's model was deleted. Upload it again and send the job anew.", code="model_deleted")
        fields: dict[str, Any] = {
            "path": MODEL,
            "format": row.format,
            "architecture": row.architecture,
            "base": self.base and {"path": BASE, "format": self.base.format},
        }
        return ModelFile.model_validate(fields | _known_inputs(row, self.base))

    def dataset_file(self) -> DatasetFile | None:
        if self.dataset is None:
            return None
        row, task = self.dataset, (self.dataset.facts or {}).get("task")
        fields = {"path": DATASET, "format": row.format, "task": task, "transform": row.transform}
        return DatasetFile.model_validate(fields)


def _known_inputs(row: ModelRow, base: ModelRow | None) -> dict[str, Any]:
    """As given, as found by inspection, or else those of the model whose network it has."""
    if row.given_inputs:
        return {"inputs": row.given_inputs, "inputs_from": "given"}
    if row.inspection:
        return {"inputs": row.inspection["inputs"], "inputs_from": row.inspection["inputs_from"]}
    return _known_inputs(base, None) if base is not None else {}


@contextmanager
def prepared(settings: Settings, database: Database, storage: Storage, claim: Claim) -> Iterator[JobFolder]:
    """The folder with its inputs in place; gone, whatever happened, when the block is left."""
    with database.reading() as session:
        model = session.get(ModelRow, claim.model) if claim.model else None
        base = session.get(ModelRow, model.base_id) if model is not None and model.base_id else None
        dataset = session.get(DatasetRow, claim.dataset) if claim.dataset else None
    path = settings.work_dir.resolve() / work_folder_name(claim.job, claim.attempt)
    try:
        with no_space_left_is_a_problem():
            (path / "inputs").mkdir(parents=True)
            (path / "outputs").mkdir()
        if model is not None:
            storage.lend(model.converted_key or model.file_key, path / MODEL)
        if base is not None:
            storage.lend(base.file_key, path / BASE)
        if dataset is not None:
            storage.lend(dataset.file_key, path / DATASET)
        yield JobFolder(path, model, base, dataset)
    finally:
        shutil.rmtree(path, ignore_errors=True)
