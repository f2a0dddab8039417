"""What is left of a job's work when its worker is lost: a network after a step, from which the next attempt goes on.

files/checkpoints/JOB/ATTEMPT/NAME      files that children wrote
files/checkpoints/JOB/checkpoint.json   names them; the newest one only, written last
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from pydantic import ValidationError

from app.core.errors import Problem
from app.core.recipes import Step
from app.core.schemas import Schema
from app.core.storage import Storage
from app.core.tasks import Checkpoint
from app.core.version import VERSION

FOLDER, MANIFEST = "checkpoints", "checkpoint.json"
LENT = "inputs/checkpoint"

log = structlog.get_logger()


class KeptCheckpoint(Schema):
    """`keys` are by the path that the checkpoint gives. It is worth something for the same `material` alone, and for
    a recipe that begins with the same `steps`."""

    material: str
    steps: tuple[Step, ...]
    keys: dict[str, str]
    checkpoint: Checkpoint


class Checkpoints:
    """Those of one attempt at a job that runs `steps`."""

    def __init__(self, storage: Storage, job: str, attempt: int, material: str, steps: Sequence[Step]) -> None:
        self._storage = storage
        self._job = job
        self._attempt = attempt
        self._material = material
        self._steps = tuple(steps)
        self._kept: KeptCheckpoint | None = None

    def lend(self, folder: Path) -> Checkpoint | None:
        """The newest one of earlier attempts, its files put into the job's folder; None where none fits."""
        found = self._found()
        if found is None:
            return None
        lent = {path: f"{LENT}/{_within(self._job, key)}" for path, key in found.keys.items()}
        try:
            for path, key in found.keys.items():
                (folder / lent[path]).parent.mkdir(parents=True, exist_ok=True)
                self._storage.lend(key, folder / lent[path])
        except OSError:
            log.warning("checkpoint not read", job=self._job)
            return None
        keys = {lent[path]: key for path, key in found.keys.items()}
        self._kept = found.model_copy(update={"keys": keys, "checkpoint": found.checkpoint.moved(lent)})
        return self._kept.checkpoint

    def keep(self, folder: Path, checkpoint: Checkpoint) -> None:
        """In place of the one before. What can't be kept is not: then the job has further to go if it is lost."""
        if self._kept is not None and checkpoint.steps_done <= self._kept.checkpoint.steps_done:
            return
        try:
            self._keep(folder, checkpoint)
        except (Problem, OSError):
            log.warning("checkpoint not kept", job=self._job, exc_info=True)

    def _keep(self, folder: Path, checkpoint: Checkpoint) -> None:
        before = self._kept.keys if self._kept is not None else {}
        keys = {path: before.get(path) or self._store(folder, path) for path in sorted(checkpoint.paths())}
        kept = KeptCheckpoint(
            material=self._material, steps=self._steps[: checkpoint.steps_done], keys=keys, checkpoint=checkpoint
        )
        staged = self._storage.create()
        staged.write(kept.model_dump_json().encode())
        self._storage.publish(staged, _key(self._job, MANIFEST))
        self._kept = kept
        for key in set(before.values()) - set(keys.values()):
            self._storage.delete(key)

    def _store(self, folder: Path, path: str) -> str:
        return self._storage.store(folder / path, _key(self._job, str(self._attempt), Path(path).name)).key

    def _found(self) -> KeptCheckpoint | None:
        try:
            text = self._storage.path(_key(self._job, MANIFEST)).read_bytes()
            kept = KeptCheckpoint.model_validate_json(text)
        except (FileNotFoundError, ValidationError):
            return None
        fits = kept.material == self._material and kept.steps == self._steps[: len(kept.steps)]
        return kept if fits else None


def material_of(shas: Iterable[str | None], seed: int) -> str:
    """Equal where the same service would make the same of the same steps. `shas` are of the files that they work on."""
    return hashlib.sha256(json.dumps([VERSION, list(shas), seed]).encode()).hexdigest()


def forget(storage: Storage, job: str) -> None:
    for key in storage.keys_beneath(_key(job)):
        storage.delete(key)


def job_of(key: str) -> str | None:
    """The job whose checkpoint has a file under this key; None for keys of other things."""
    folder, _, rest = key.partition("/")
    return rest.partition("/")[0] if folder == FOLDER else None


def _key(job: str, *names: str) -> str:
    return "/".join((FOLDER, job, *names))


def _within(job: str, key: str) -> str:
    return key.removeprefix(f"{_key(job)}/")
