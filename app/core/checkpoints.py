"""What a job's steps have left so far: a network, from which another attempt at it or another job of its study goes on.

files/checkpoints/JOB/…                    for further attempts, the newest one only; forgotten when the job ends
files/checkpoints/STUDY/HASH/…             for jobs that begin with the same steps; forgotten when the study ends
      …/checkpoint.json                    names the files, and is written last
      …/JOB.ATTEMPT/NAME                   files that children wrote

HASH is of everything that those steps depend on: see `hashes_of`.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import structlog
from pydantic import ValidationError

from app.core.errors import Problem
from app.core.measurements import OutputFormat
from app.core.recipes import Step
from app.core.schemas import Schema
from app.core.storage import Storage
from app.core.tasks import Checkpoint
from app.core.version import VERSION

FOLDER, MANIFEST = "checkpoints", "checkpoint.json"
LENT = "inputs/checkpoint"

log = structlog.get_logger()


class KeptCheckpoint(Schema):
    """`keys` are by the path that the checkpoint gives; `job` is the one whose child wrote it, `content` the hash of
    all that its steps depend on."""

    job: str
    content: str
    keys: dict[str, str]
    checkpoint: Checkpoint


class Checkpoints:
    """Those of one attempt at a job. `hashes` has one for each number of its first steps; after as many steps as are
    in `shared`, others of its `study` go on from where it is."""

    def __init__(
        self,
        storage: Storage,
        job: str,
        attempt: int,
        hashes: Sequence[str],
        *,
        study: str | None = None,
        shared: Collection[int] = (),
    ) -> None:
        self._storage = storage
        self._job = job
        self._attempt = attempt
        self._hashes = hashes
        self._study = study
        self.shared = shared
        self._kept: KeptCheckpoint | None = None

    def lend(self, folder: Path) -> Checkpoint | None:
        """The one that is furthest, its files put into the job's folder; None where none fits."""
        for found in sorted(self._found(), key=lambda kept: -kept.checkpoint.steps_done):
            try:
                return self._lent(found, folder)
            except OSError:
                log.warning("checkpoint not read", job=self._job)
        return None

    def keep(self, folder: Path, checkpoint: Checkpoint) -> None:
        """What can't be kept is not: then the job has further to go if it is lost, and others run its steps again."""
        if self._kept is not None and checkpoint.steps_done <= self._kept.checkpoint.steps_done:
            return
        try:
            if self._study is not None and checkpoint.steps_done in self.shared:
                shelf = self._shelf_of_study(checkpoint.steps_done)
                self._keep(folder, _without_artifacts(checkpoint), shelf, lasting=_key(self._study))
            else:
                self._keep(folder, checkpoint, _key(self._job), lasting=FOLDER)
        except (Problem, OSError):
            log.warning("checkpoint not kept", job=self._job, exc_info=True)

    def _lent(self, found: KeptCheckpoint, folder: Path) -> Checkpoint:
        lent = {path: f"{LENT}/{key.removeprefix(f'{FOLDER}/')}" for path, key in found.keys.items()}
        for path, key in found.keys.items():
            (folder / lent[path]).parent.mkdir(parents=True, exist_ok=True)
            self._storage.lend(key, folder / lent[path])
        checkpoint = found.checkpoint.moved(lent)
        if found.job != self._job:
            checkpoint = checkpoint.run_by(found.job)
        keys = {lent[path]: key for path, key in found.keys.items()}
        self._kept = found.model_copy(update={"keys": keys, "checkpoint": checkpoint})
        return checkpoint

    def _keep(self, folder: Path, checkpoint: Checkpoint, shelf: str, *, lasting: str) -> None:
        """Files that are beneath `lasting` already are not stored again."""
        before = self._kept.keys if self._kept is not None else {}
        known = {path: key for path, key in before.items() if key.startswith(f"{lasting}/")}
        keys = {path: known.get(path) or self._store(folder, path, shelf) for path in sorted(checkpoint.paths())}
        kept = KeptCheckpoint(
            job=self._job, content=self._hashes[checkpoint.steps_done - 1], keys=keys, checkpoint=checkpoint
        )
        staged = self._storage.create()
        staged.write(kept.model_dump_json().encode())
        self._storage.publish(staged, f"{shelf}/{MANIFEST}")
        self._kept = kept
        self._delete_own(set(before.values()) - set(keys.values()))

    def _delete_own(self, keys: Collection[str]) -> None:
        for key in keys:
            if key.startswith(f"{_key(self._job)}/"):
                self._storage.delete(key)

    def _store(self, folder: Path, path: str, shelf: str) -> str:
        return self._storage.store(folder / path, f"{shelf}/{self._job}.{self._attempt}/{Path(path).name}").key

    def _found(self) -> Iterator[KeptCheckpoint]:
        shelves = [_key(self._job)]
        if self._study is not None:
            shelves += map(self._shelf_of_study, range(1, len(self._hashes) + 1))
        for shelf in shelves:
            kept = _read(self._storage, shelf)
            if kept is not None and kept.content in self._hashes[kept.checkpoint.steps_done - 1 :][:1]:
                yield kept

    def _shelf_of_study(self, steps: int) -> str:
        assert self._study is not None
        return _key(self._study, self._hashes[steps - 1])


def hashes_of(
    steps: Sequence[Step],
    outputs: Sequence[OutputFormat],
    seed: int,
    shas_of: Callable[[Collection[str]], Sequence[str | None]],
) -> tuple[str, ...]:
    """One for each number of first steps, from one on: equal where the same service would make the same of them.

    `shas_of` has the SHA-256 of the files that steps work on which name these models; steps are also written into
    files of the first of the `outputs`.
    """
    return tuple(_hash_of(steps[:count], [VERSION, seed, *outputs], shas_of) for count in range(1, len(steps) + 1))


def _hash_of(
    steps: Sequence[Step], rest: Sequence[str | int], shas_of: Callable[[Collection[str]], Sequence[str | None]]
) -> str:
    shas = shas_of({model for step in steps for model in step.models})
    content = [*rest, list(shas), [step.model_dump(mode="json") for step in steps]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _without_artifacts(checkpoint: Checkpoint) -> Checkpoint:
    """What a job delivers is its own; to others it is the file of a step."""
    files = tuple(file for file in checkpoint.files if file.role == "step")
    return checkpoint.model_copy(update={"files": files})


def _read(storage: Storage, shelf: str) -> KeptCheckpoint | None:
    try:
        return KeptCheckpoint.model_validate_json(storage.path(f"{shelf}/{MANIFEST}").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def forget(storage: Storage, holder: str) -> None:
    """`holder` is a job or a study that has ended."""
    for key in storage.keys_beneath(_key(holder)):
        storage.delete(key)


def holder_of(key: str) -> str | None:
    """The job or the study whose checkpoint has a file under this key; None for keys of other things."""
    folder, _, rest = key.partition("/")
    return rest.partition("/")[0] if folder == FOLDER else None


def _key(*names: str) -> str:
    return "/".join((FOLDER, *names))
