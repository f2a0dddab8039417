"""Steps that go on from a lost child's checkpoint end where they would have ended anyway."""

import shutil
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import worker.applying
from app.core.errors import Problem
from app.core.messages import CheckpointWritten, EpochEnded, Message
from app.core.recipes import FineTuning, MagnitudePruning, StaticQuantization, Step
from app.core.tasks import Checkpoint, Compress, Compression
from tests.worker.jobs import DATA, file_of, inspected, job_folder, save_data, sha256
from tests.worker.networks import NETWORKS
from worker import checkpoints
from worker.network import Network
from worker.pipeline import perform
from worker.run import Run

RECIPE = (MagnitudePruning(), FineTuning(epochs=2), MagnitudePruning(sparsity=0.8), StaticQuantization(examples=10))


@pytest.fixture(autouse=True)
def every_step_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WORTH_KEEPING_SECONDS", 0.0)


def run(
    folder: Path, steps: tuple[Step, ...], checkpoint: Checkpoint | None = None
) -> tuple[Compression, list[Message]]:
    model, _ = inspected(folder)
    messages: list[Message] = []
    task = Compress(
        model=model, dataset=DATA, steps=steps, outputs=("onnx", "state_dict"), seed=3, checkpoint=checkpoint
    )
    return perform(task, folder, messages.append), messages


def checkpoints_in(messages: list[Message]) -> list[Checkpoint]:
    return [message.checkpoint for message in messages if isinstance(message, CheckpointWritten)]


def lent(checkpoint: Checkpoint, written: Path, folder: Path) -> Checkpoint:
    """Its files alone, in the folder of another attempt."""
    places = {path: path.replace("outputs/", "inputs/checkpoint/1/") for path in checkpoint.paths()}
    for path, place in places.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(written / path, folder / place)
    return checkpoint.moved(places)


def same_inputs(folder: Path, other: Path) -> Path:
    shutil.copytree(folder / "inputs", other / "inputs")
    (other / "outputs").mkdir()
    return other


@pytest.mark.parametrize("name", ["residual", "lstm", "transformer"])
def test_the_files_are_the_same_bit_for_bit(tmp_path: Path, name: str) -> None:
    whole, messages = run(job_folder(tmp_path / "whole", NETWORKS[name]), RECIPE)
    for checkpoint in checkpoints_in(messages)[1:2]:
        folder = same_inputs(tmp_path / "whole", tmp_path / f"after-{checkpoint.steps_done}")
        continued, told = run(folder, RECIPE, lent(checkpoint, tmp_path / "whole", folder))
        assert not [message for message in told if isinstance(message, EpochEnded)]
        assert [file.name for file in continued.files] == [file.name for file in whole.files]
        for file in (file for file in continued.files if file.role in ("step", "artifact")):
            before = file_of(whole, file.name)
            for path, path_before in zip((file.path, *file.companions), (before.path, *before.companions), strict=True):
                assert sha256(folder / path) == sha256(tmp_path / "whole" / path_before), file.name
            assert (file.parameters, file.nonzero_parameters, file.macs) == (
                before.parameters,
                before.nonzero_parameters,
                before.macs,
            )
        assert continued.steps[: checkpoint.steps_done] == whole.steps[: checkpoint.steps_done]
        assert set(continued.warnings) == set(whole.warnings)


def test_a_training_that_diverges_says_in_which_step(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    save_data(folder / DATA.path, NETWORKS["mlp"], x_train=np.full((40, 20), np.inf, np.float32))
    with pytest.raises(Problem) as caught:
        run(folder, RECIPE[:2])
    assert (caught.value.code, caught.value.step) == ("training_diverged", 1)
    assert "finite numbers" in caught.value.detail


def with_noise(step: Step, network: Network, run: Run) -> Network:
    module = deepcopy(network.module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn(parameter.shape)
    return replace(network, module=module)


def test_a_step_draws_the_numbers_that_it_would_have_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.applying, "apply", with_noise)
    whole, messages = run(job_folder(tmp_path / "whole", NETWORKS["mlp"]), RECIPE[:2])
    folder = same_inputs(tmp_path / "whole", tmp_path / "again")
    again, _ = run(folder, RECIPE[:2], lent(checkpoints_in(messages)[0], tmp_path / "whole", folder))
    model = file_of(again, "model.onnx")
    assert sha256(folder / model.path) == sha256(tmp_path / "whole" / file_of(whole, "model.onnx").path)


def test_what_was_quantized_is_not_kept(tmp_path: Path) -> None:
    _, messages = run(job_folder(tmp_path / "job", NETWORKS["mlp"]), RECIPE)
    assert [checkpoint.steps_done for checkpoint in checkpoints_in(messages)] == [1, 2, 3]


def test_what_is_quickly_done_again_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WORTH_KEEPING_SECONDS", 1000.0)
    assert checkpoints_in(run(job_folder(tmp_path / "job", NETWORKS["mlp"]), RECIPE)[1]) == []


def test_a_checkpoint_that_cannot_be_read_costs_time_only(tmp_path: Path) -> None:
    steps = RECIPE[:2]
    whole, messages = run(job_folder(tmp_path / "whole", NETWORKS["mlp"]), steps)
    folder = same_inputs(tmp_path / "whole", tmp_path / "again")
    checkpoint = lent(checkpoints_in(messages)[0], tmp_path / "whole", folder)
    (folder / checkpoint.weights).write_bytes(b"damaged")
    again, _ = run(folder, steps, checkpoint)
    model = file_of(again, "model.onnx")
    assert sha256(folder / model.path) == sha256(tmp_path / "whole" / file_of(whole, "model.onnx").path)


def test_a_checkpoint_holds_all_that_steps_change() -> None:
    """For a field more than these, `worker/checkpoints.py` has to know whether steps change it."""
    of_the_upload = {"widened", "warnings", "arguments", "calls", "blocked_by", "looked_at", "upload_sha256"}
    by_quantize_steps = {"after_export", "before_tracing", "packed"}
    held = {"module", "inputs", "steps"}
    assert {field.name for field in fields(Network)} == held | of_the_upload | by_quantize_steps
