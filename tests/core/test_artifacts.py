import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.core import artifacts, jobs
from app.core.database import Database
from app.core.keys import LOCAL
from app.core.measurements import Comparison, Environment, Measurement, Result
from app.core.queue import Claim, LeaseLost, Queue
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.sweeper import sweep

MEASURED = Measurement(
    size_bytes=1, parameters=1, nonzero_parameters=1, macs=1, latency_ms=(), peak_memory_mb=None, quality=None
)
RESULT = Result(
    baseline=MEASURED,
    compressed=MEASURED,
    steps=(),
    best="model.onnx",
    comparison=Comparison(size_ratio=1, parameter_ratio=1, macs_ratio=1, speedup=None, quality_change=None),
    artifacts=(),
    environment=Environment(cpu="cpu", isa=(), threads=1, versions={}),
)


# Durable folders, content, name and folder of the first file; content, name and folder of the second; the job's end.
COMMITTED = (3 + 3) + 3 + 1 + 1
STEPS = COMMITTED + 1


class Crash(BaseException):
    """The process dies here."""


class Death:
    """Comes after so many steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.came = False

    def _step(self) -> None:
        self.came = self._left == 0
        if self.came:
            raise Crash
        self._left -= 1

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **keywords: Any) -> Any:
            self._step()
            return call(*args, **keywords)

        return dying

    def around_commit(self, writing: Callable[..., Any]) -> Callable[..., Any]:
        """What a dead process has not committed is rolled back, as it is where a block ends by an exception."""

        @contextlib.contextmanager
        def dying(database: Database) -> Iterator[Session]:
            with writing(database) as session:
                yield session
                session.flush()
                self._step()
            self._step()

        return dying


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:
    return Queue(database, settings, "worker-1")


@pytest.fixture
def claim(database: Database, queue: Queue) -> Claim:
    with database.writing() as session:
        jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None))
    found = queue.claim(("compress",))
    assert found is not None
    return found


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    files = [tmp_path / "model.onnx", tmp_path / "report.html"]
    for file in files:
        file.write_bytes(file.name.encode())
    return {file.name: file for file in files}


def test_files_and_success_appear_together(
    database: Database, storage: Storage, queue: Queue, claim: Claim, made: dict[str, Path]
) -> None:
    artifacts.publish(database, storage, queue, claim, made, RESULT)
    assert jobs.get(database, LOCAL, claim.job).status == "succeeded"
    found = artifacts.of_job(database, LOCAL, claim.job)
    assert [(a.name, a.media_type.split(";")[0]) for a in found] == [
        ("model.onnx", "application/octet-stream"),
        ("report.html", "text/html"),
    ]


def test_a_worker_whose_job_another_one_holds_publishes_nothing(
    database: Database, storage: Storage, queue: Queue, claim: Claim, made: dict[str, Path]
) -> None:
    stale = claim.model_copy(update={"attempt": claim.attempt - 1})
    with pytest.raises(LeaseLost):
        artifacts.publish(database, storage, queue, stale, made, RESULT)
    assert list(storage.all_keys()) == []
    assert artifacts.of_job(database, LOCAL, claim.job) == []


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_death_at_any_step_never_leaves_a_row_without_its_file(
    database: Database,
    storage: Storage,
    settings: Settings,
    queue: Queue,
    claim: Claim,
    made: dict[str, Path],
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes before each system call, before and after the COMMIT, and never; then another worker takes over."""
    death = Death(step)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", death.before(os.fsync))
        patched.setattr(Path, "rename", death.before(Path.rename))
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # a dead process cleans nothing up
        patched.setattr(Queue, "finish", death.before(Queue.finish))
        patched.setattr(Database, "writing", death.around_commit(Database.writing))
        with contextlib.suppress(Crash):
            artifacts.publish(database, storage, queue, claim, made, RESULT)
    assert death.came == (step < STEPS)
    published = artifacts.of_job(database, LOCAL, claim.job)
    for artifact in published:
        assert storage.path(f"jobs/{claim.job}/{claim.attempt}/{artifact.name}").exists()
    succeeded = jobs.get(database, LOCAL, claim.job).status == "succeeded"
    assert (succeeded, len(published)) == ((True, len(made)) if step >= COMMITTED else (False, 0))
    if not succeeded:
        queue.give_back(claim)
        again = queue.claim(("compress",))
        assert again is not None
        artifacts.publish(database, storage, queue, again, made, RESULT)
    sweep(database, storage, settings)
    kept = set(storage.all_keys())
    assert len(kept) == len(made) == len(artifacts.of_job(database, LOCAL, claim.job))
