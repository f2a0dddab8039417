"""What is kept of a job whose worker may be lost, and when it is of no use any more."""

from pathlib import Path

import pytest

from app.core.checkpoints import LENT, Checkpoints, forget
from app.core.database import Database
from app.core.inputs import InputSpec
from app.core.jobs import new_row, queue_row
from app.core.recipes import MagnitudePruning, StaticQuantization
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.sweeper import sweep
from app.core.tables import JobRow
from app.core.tasks import Checkpoint, StepTiming, WrittenFile

STEPS = (MagnitudePruning(sparsity=0.5), MagnitudePruning(sparsity=0.7), StaticQuantization())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a first attempt whose child has written what two steps left."""
    (tmp_path / "job" / "outputs").mkdir(parents=True)
    for position in range(2):
        for path in (*checkpoint(position + 1).paths(), "outputs/load_network.py"):
            (tmp_path / "job" / path).write_text(f"{path} of the first attempt")
    return tmp_path / "job"


def checkpoint(steps_done: int) -> Checkpoint:
    files = tuple(
        WrittenFile(
            name=f"step-{position}.onnx",
            path=f"outputs/step-{position}.onnx",
            companions=(f"outputs/step-{position}.json",),
            format="onnx",
            role="step",
            step=position,
            parameters=10,
            nonzero_parameters=5,
            macs=None,
            probe=f"outputs/step-{position}.npz",
        )
        for position in range(steps_done)
    )
    return Checkpoint(
        steps_done=steps_done,
        weights=f"outputs/checkpoint-{steps_done}.safetensors",
        description=f"outputs/checkpoint-{steps_done}.network.json",
        names=("", "fc", "fc.weight"),
        inputs=(InputSpec(name="x", shape=("batch", 4)),),
        files=files,
        timings=tuple(StepTiming(technique="magnitude_pruning", seconds=9) for _ in files),
        warnings=("careful",),
    )


def checkpoints(storage: Storage, attempt: int, material: str = "m", steps=STEPS) -> Checkpoints:
    return Checkpoints(storage, "job_1", attempt, material, steps)


def test_the_next_attempt_finds_the_newest_with_all_its_files(storage: Storage, folder: Path, tmp_path: Path) -> None:
    first = checkpoints(storage, 1)
    for steps_done in (1, 2):
        first.keep(folder, checkpoint(steps_done))
    lent = checkpoints(storage, 2).lend(tmp_path / "again")
    assert lent is not None
    assert (lent.steps_done, lent.warnings, len(lent.timings)) == (2, ("careful",), 2)
    assert {(tmp_path / "again" / path).read_text() for path in lent.paths()} == {
        f"{path} of the first attempt" for path in checkpoint(2).paths()
    }
    assert all(path.startswith(f"{LENT}/1/") for path in lent.paths())


def test_a_third_attempt_finds_files_of_both_before_it(storage: Storage, folder: Path, tmp_path: Path) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    second = checkpoints(storage, 2)
    lent = second.lend(folder)
    assert lent is not None
    further = checkpoint(2)
    second.keep(folder, further.model_copy(update={"files": (*lent.files, further.files[1])}))
    again = checkpoints(storage, 3).lend(tmp_path / "again")
    assert again is not None
    assert [file.path for file in again.files] == [f"{LENT}/1/step-0.onnx", f"{LENT}/2/step-1.onnx"]
    assert all((tmp_path / "again" / path).exists() for path in again.paths())


def test_the_network_before_the_newest_is_not_kept(storage: Storage, folder: Path) -> None:
    first = checkpoints(storage, 1)
    first.keep(folder, checkpoint(1))
    first.keep(folder, checkpoint(2))
    names = {key.rpartition("/")[2] for key in storage.all_keys()}
    assert {"checkpoint-2.safetensors", "step-0.onnx", "step-1.onnx"} <= names
    assert "checkpoint-1.safetensors" not in names


def test_a_child_cannot_go_back(storage: Storage, folder: Path, tmp_path: Path) -> None:
    first = checkpoints(storage, 1)
    first.keep(folder, checkpoint(2))
    first.keep(folder, checkpoint(1))
    lent = checkpoints(storage, 2).lend(tmp_path / "again")
    assert lent is not None
    assert lent.steps_done == 2


@pytest.mark.parametrize(
    "changed", [{"material": "other"}, {"steps": (MagnitudePruning(sparsity=0.6), *STEPS[1:])}, {"steps": ()}]
)
def test_of_other_material_or_steps_it_is_of_no_use(
    storage: Storage, folder: Path, tmp_path: Path, changed: dict
) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    assert checkpoints(storage, 2, **changed).lend(tmp_path / "again") is None


def test_later_steps_may_differ(storage: Storage, folder: Path, tmp_path: Path) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    assert checkpoints(storage, 2, steps=STEPS[:1]).lend(tmp_path / "again") is not None


def test_files_that_are_missing_cost_the_checkpoint_not_the_job(storage: Storage, folder: Path, tmp_path: Path) -> None:
    (folder / "outputs" / "checkpoint-1.safetensors").unlink()
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    assert checkpoints(storage, 2).lend(tmp_path / "again") is None
    checkpoints(storage, 1).keep(folder, checkpoint(2))
    storage.delete("checkpoints/job_1/1/step-0.npz")
    assert checkpoints(storage, 2).lend(tmp_path / "again") is None


def test_a_damaged_manifest_is_as_none(storage: Storage, folder: Path, tmp_path: Path) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    manifest = storage.path("checkpoints/job_1/checkpoint.json")
    manifest.chmod(0o600)
    manifest.write_text("{")
    assert checkpoints(storage, 2).lend(tmp_path / "again") is None


def test_it_is_gone_when_the_job_has_ended(storage: Storage, folder: Path) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(2))
    forget(storage, "job_1")
    assert list(storage.all_keys()) == []


def test_the_sweeper_takes_those_of_jobs_that_are_over(
    database: Database, storage: Storage, settings: Settings, folder: Path
) -> None:
    with database.writing() as session:
        job = queue_row(session, new_row("local", "compress", {}, None, None)).id
    Checkpoints(storage, job, 1, "m", STEPS).keep(folder, checkpoint(1))
    kept = set(storage.all_keys())
    assert kept
    sweep(database, storage, settings)
    assert set(storage.all_keys()) == kept
    with database.writing() as session:
        session.get_one(JobRow, job).status = "canceled"
    sweep(database, storage, settings)
    assert list(storage.all_keys()) == []
