"""What is kept of a job whose worker may be lost, or whose study goes on from there, and when it is of no use."""

from pathlib import Path

import pytest

from app.core.checkpoints import LENT, Checkpoints, forget, hashes_of
from app.core.database import Database
from app.core.inputs import InputSpec
from app.core.jobs import new_row, queue_row
from app.core.recipes import Distillation, MagnitudePruning, StaticQuantization
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.sweeper import sweep
from app.core.tables import JobRow, StudyRow
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


def hashes(steps=STEPS, seed: int = 0, sha: str = "m", outputs=("onnx",)) -> tuple[str, ...]:
    return hashes_of(steps, outputs, seed, lambda named: [sha, *sorted(named)])


def checkpoints(storage: Storage, attempt: int, **changed) -> Checkpoints:
    return Checkpoints(storage, "job_1", attempt, hashes(**changed))


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
    assert all(path.startswith(f"{LENT}/job_1/job_1.1/") for path in lent.paths())
    assert {timing.run_by for timing in lent.timings} == {None}


def test_a_third_attempt_finds_files_of_both_before_it(storage: Storage, folder: Path, tmp_path: Path) -> None:
    checkpoints(storage, 1).keep(folder, checkpoint(1))
    second = checkpoints(storage, 2)
    lent = second.lend(folder)
    assert lent is not None
    further = checkpoint(2)
    second.keep(folder, further.model_copy(update={"files": (*lent.files, further.files[1])}))
    again = checkpoints(storage, 3).lend(tmp_path / "again")
    assert again is not None
    assert [file.path for file in again.files] == [
        f"{LENT}/job_1/job_1.1/step-0.onnx",
        f"{LENT}/job_1/job_1.2/step-1.onnx",
    ]
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
    "changed",
    [
        {"sha": "other"},
        {"seed": 1},
        {"outputs": ("torchscript",)},
        {"steps": (MagnitudePruning(sparsity=0.6), *STEPS[1:])},
        {"steps": ()},
    ],
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
    storage.delete("checkpoints/job_1/job_1.1/step-0.npz")
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
    Checkpoints(storage, job, 1, hashes()).keep(folder, checkpoint(1))
    kept = set(storage.all_keys())
    assert kept
    sweep(database, storage, settings)
    assert set(storage.all_keys()) == kept
    with database.writing() as session:
        session.get_one(JobRow, job).status = "canceled"
    sweep(database, storage, settings)
    assert list(storage.all_keys()) == []


def in_study(storage: Storage, job: str, shared=(), attempt: int = 1, study: str = "study_1", **changed) -> Checkpoints:
    return Checkpoints(storage, job, attempt, hashes(**changed), study=study, shared=shared)


def test_another_job_of_the_study_goes_on_from_the_longest_common_part(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    first = in_study(storage, "job_1", shared=(1, 2))
    for steps_done in (1, 2):
        first.keep(folder, checkpoint(steps_done))
    forget(storage, "job_1")
    other = in_study(storage, "job_2", steps=(*STEPS[:2], MagnitudePruning(sparsity=0.9)))
    lent = other.lend(tmp_path / "other")
    assert lent is not None
    assert lent.steps_done == 2
    assert {timing.run_by for timing in lent.timings} == {"job_1"}
    assert {(tmp_path / "other" / path).read_text() for path in lent.paths()} == {
        f"{path} of the first attempt" for path in checkpoint(2).paths()
    }
    shorter = in_study(storage, "job_3", steps=(STEPS[0], MagnitudePruning(sparsity=0.9))).lend(tmp_path / "shorter")
    assert shorter is not None
    assert shorter.steps_done == 1


def test_who_ran_a_step_is_kept_when_it_is_passed_on_again(storage: Storage, folder: Path, tmp_path: Path) -> None:
    in_study(storage, "job_1", shared=(1,)).keep(folder, checkpoint(1))
    second = in_study(storage, "job_2", shared=(2,))
    lent = second.lend(folder)
    assert lent is not None
    further = checkpoint(2)
    kept = {"files": (*lent.files, further.files[1]), "timings": (*lent.timings, further.timings[1])}
    second.keep(folder, further.model_copy(update=kept))
    third = in_study(storage, "job_3").lend(tmp_path / "third")
    assert third is not None
    assert [timing.run_by for timing in third.timings] == ["job_1", "job_2"]


def test_what_a_job_delivers_is_not_passed_on(storage: Storage, folder: Path, tmp_path: Path) -> None:
    """The last step's file of a job may be its artifact; another job that goes on from there has one of its own."""
    step = checkpoint(1).files[0]
    artifact = step.model_copy(update={"name": "model.onnx", "role": "artifact", "step": None})
    whole = checkpoint(1).model_copy(update={"files": (artifact, step)})
    in_study(storage, "job_1", shared=(1,), steps=STEPS[:1]).keep(folder, whole)
    lent = in_study(storage, "job_2").lend(tmp_path / "other")
    assert lent is not None
    assert [file.role for file in lent.files] == ["step"]


def test_nothing_is_passed_on_to_another_study_or_seed(storage: Storage, folder: Path, tmp_path: Path) -> None:
    in_study(storage, "job_1", shared=(1,)).keep(folder, checkpoint(1))
    assert in_study(storage, "job_2", study="study_2").lend(tmp_path / "a") is None
    assert in_study(storage, "job_2", seed=1).lend(tmp_path / "b") is None
    assert Checkpoints(storage, "job_2", 1, hashes()).lend(tmp_path / "c") is None


def test_steps_that_nobody_shares_are_the_jobs_own(storage: Storage, folder: Path) -> None:
    first = in_study(storage, "job_1", shared=(1,))
    for steps_done in (1, 2):
        first.keep(folder, checkpoint(steps_done))
    forget(storage, "job_1")
    assert {key.rpartition("/")[2] for key in storage.all_keys()} == {
        *(Path(path).name for path in checkpoint(1).paths()),
        "checkpoint.json",
    }


def test_a_lost_job_goes_on_from_what_it_left_to_its_study(storage: Storage, folder: Path, tmp_path: Path) -> None:
    in_study(storage, "job_1", shared=(1,)).keep(folder, checkpoint(1))
    again = in_study(storage, "job_1", shared=(1,), attempt=2).lend(tmp_path / "again")
    assert again is not None
    assert [timing.run_by for timing in again.timings] == [None]


def test_other_models_count_where_a_step_names_them() -> None:
    steps = (STEPS[0], Distillation(teacher="model_2"))
    one, other = hashes(steps=steps), hashes(steps=(STEPS[0], Distillation(teacher="model_3")))
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_the_sweeper_keeps_those_of_studies_that_are_not_over(
    database: Database, storage: Storage, settings: Settings, folder: Path
) -> None:
    with database.writing() as session:
        session.add(StudyRow(id="study_1", owner="local", status="running", request={}, created_at=0.0))
    in_study(storage, "job_1", shared=(1,)).keep(folder, checkpoint(1))
    kept = set(storage.all_keys())
    sweep(database, storage, settings)
    assert set(storage.all_keys()) == kept != set()
    with database.writing() as session:
        session.get_one(StudyRow, "study_1").status = "failed"
    sweep(database, storage, settings)
    assert list(storage.all_keys()) == []


def test_what_is_passed_on_outlives_what_the_job_kept_for_itself(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    first = in_study(storage, "job_1", shared=(2,))
    for steps_done in (1, 2):
        first.keep(folder, checkpoint(steps_done))
    forget(storage, "job_1")
    lent = in_study(storage, "job_2").lend(tmp_path / "other")
    assert lent is not None
    assert lent.steps_done == 2
