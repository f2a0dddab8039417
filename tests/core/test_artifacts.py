import contextlib
from pathlib import Path

import pytest

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


class Crash(BaseException):
    """The process dies here."""


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


@pytest.mark.parametrize("step", range(12))
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
    """Each system call and each commit of a publication is made the last one; then another worker takes over."""
    import os

    remaining = [step]

    def dying(call):
        def wrapped(*args, **keywords):
            remaining[0] -= 1
            if remaining[0] < 0:
                raise Crash
            return call(*args, **keywords)

        return wrapped

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", dying(os.fsync))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # a dead process cleans nothing up
        patched.setattr(Queue, "finish", dying(Queue.finish))
        with contextlib.suppress(Crash):
            artifacts.publish(database, storage, queue, claim, made, RESULT)
    for artifact in artifacts.of_job(database, LOCAL, claim.job):
        assert storage.path(f"jobs/{claim.job}/{claim.attempt}/{artifact.name}").exists()
    if jobs.get(database, LOCAL, claim.job).status != "succeeded":
        queue.give_back(claim)
        again = queue.claim(("compress",))
        assert again is not None
        artifacts.publish(database, storage, queue, again, made, RESULT)
    sweep(database, storage, settings)
    kept = set(storage.all_keys())
    assert len(kept) == len(made) == len(artifacts.of_job(database, LOCAL, claim.job))
