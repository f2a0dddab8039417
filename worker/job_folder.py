"""The folder that a job's children work over, and what they are told about the files in it."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.core.budgets import Budget
from app.core.database import Database
from app.core.errors import NotFound
from app.core.facts import ModelFormat
from app.core.job_files import DatasetFile, HalfOfTest, ModelFile
from app.core.queue import Claim
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.studies.requests import StudyRequest
from app.core.sweeper import work_folder_name
from app.core.tables import DatasetRow, JobModelRow, ModelRow, StudyRow

MODEL = "inputs/model"
DATASET = "inputs/dataset"


class JobFolder:
    """The rows are as they were when the job was claimed; `others` are of the models that steps name. `budget` is that
    of the search that the job belongs to, and `part` the half of the test examples that it gets to see."""

    def __init__(
        self,
        path: Path,
        model: ModelRow | None,
        dataset: DatasetRow | None,
        others: Sequence[ModelRow] = (),
        budget: Budget | None = None,
        part: HalfOfTest | None = None,
    ) -> None:
        self.path = path
        self.model = model
        self.dataset = dataset
        self.others = others
        self.budget = budget
        self._part = part

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    def model_file(self) -> ModelFile:
        """Raises `NotFound` where the model was deleted meanwhile."""
        if self.model is None:
            raise NotFound("The job's model was deleted. Upload it again and send the job anew.", code="model_deleted")
        return _described(self.model, MODEL)

    def other_model_files(self) -> dict[str, ModelFile]:
        """By id."""
        return {row.id: _described(row, _path_of(row)) for row in self.others}

    def shas(self, named: Collection[str]) -> list[str | None]:
        """Of all that steps work on which name these models; None for what isn't there."""
        others = sorted((row for row in self.others if row.id in named), key=lambda row: row.id)
        models = [self.model, *others]
        with_bases = [each for row in models for each in (row, row.base if row else None)]
        return [row.sha256 if row else None for row in (*with_bases, self.dataset)]

    def formats(self) -> frozenset[ModelFormat]:
        """Of all models whose files are here."""
        own = [self.model_file()] if self.model is not None else []
        return frozenset().union(*(file.formats() for file in (*own, *self.other_model_files().values())))

    def dataset_file(self) -> DatasetFile | None:
        if self.dataset is None:
            return None
        row, task = self.dataset, (self.dataset.facts or {}).get("task")
        fields = {"path": DATASET, "format": row.format, "task": task, "transform": row.transform, "part": self._part}
        return DatasetFile.model_validate(fields)


def _path_of(row: ModelRow) -> str:
    return f"inputs/{row.id}"


def _base_of(path: str) -> str:
    """Where the file of the model lies whose network the one at `path` takes."""
    return f"{path}.base"


def _described(row: ModelRow, path: str) -> ModelFile:
    fields: dict[str, Any] = {
        "path": path,
        "format": row.format,
        "sha256": row.sha256,
        "architecture": row.architecture,
        "base": row.base and {"path": _base_of(path), "format": row.base.format},
    }
    return ModelFile.model_validate(fields | _known_inputs(row))


def _known_inputs(row: ModelRow) -> dict[str, Any]:
    """As given, as found by inspection, or else those of the model whose network it has, or of its network.json."""
    for each in (row, row.base):
        if each is not None and each.given_inputs:
            return {"inputs": each.given_inputs, "inputs_from": "given"}
        if each is not None and each.inspection:
            return {"inputs": each.inspection["inputs"], "inputs_from": each.inspection["inputs_from"]}
    if row.architecture and row.architecture["source"] == "network":
        return {"inputs": row.architecture["network"]["inputs"], "inputs_from": "given"}
    return {}


@contextmanager
def prepared(settings: Settings, database: Database, storage: Storage, claim: Claim) -> Iterator[JobFolder]:
    """The folder with its inputs in place; gone, whatever happened, when the block is left."""
    with database.reading() as session:
        model = session.get(ModelRow, claim.model, options=[joinedload(ModelRow.base)]) if claim.model else None
        others = _named_by_steps(session, claim)
        dataset = session.get(DatasetRow, claim.dataset) if claim.dataset else None
        study = session.get(StudyRow, claim.study) if claim.study else None
    path = settings.work_dir.resolve() / work_folder_name(claim.job, claim.attempt)
    try:
        (path / "inputs").mkdir(parents=True)
        (path / "outputs").mkdir()
        if model is not None:
            _lend(storage, model, path, MODEL)
        for other in others:
            _lend(storage, other, path, _path_of(other))
        if dataset is not None:
            storage.lend(dataset.file_key, path / DATASET)
        yield JobFolder(path, model, dataset, others, *_of_search(study, claim))
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _of_search(study: StudyRow | None, claim: Claim) -> tuple[Budget | None, HalfOfTest | None]:
    """Of the test examples a trial sees one half, and the job that judges the last candidates the other one."""
    request = None if study is None else StudyRequest.model_validate(study.request)
    if request is None or request.search is None:
        return None, None
    half: Literal["choice", "gate"] = "gate" if claim.kind == "gate" else "choice"
    return request.search.budget, HalfOfTest(half=half, seed=request.seeds[0])


def _named_by_steps(session: Session, claim: Claim) -> Sequence[ModelRow]:
    named = select(JobModelRow.model_id).where(JobModelRow.job_id == claim.job)
    return session.scalars(select(ModelRow).where(ModelRow.id.in_(named)).options(joinedload(ModelRow.base))).all()


def _lend(storage: Storage, row: ModelRow, folder: Path, path: str) -> None:
    storage.lend(row.converted_key or row.file_key, folder / path)
    if row.base is not None:
        storage.lend(row.base.file_key, folder / _base_of(path))
