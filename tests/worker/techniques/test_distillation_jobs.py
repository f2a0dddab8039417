"""Students and teachers as a job's own files: loaded, trained, written and loaded again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from app.core.errors import Invalid
from app.core.job_files import ModelFile
from app.core.recipes import Distillation
from app.core.tasks import Compress, Compression
from tests.worker.jobs import DATA, file_of, inspected, job_folder, measured, save_torchscript, silent
from tests.worker.networks import CLASSES, NETWORKS
from worker.pipeline import perform

LARGE = NETWORKS["mlp"]
OTHER = "model_other"


def small(answers: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, answers))


def job(folder: Path, other: nn.Module, **fields: Any) -> tuple[Path, ModelFile, Compression]:
    job_folder(folder, LARGE)
    save_torchscript(folder / "inputs" / OTHER, other.eval(), replace(LARGE, make=lambda: other))
    model, _ = inspected(folder)
    named = {OTHER: model.model_copy(update={"path": f"inputs/{OTHER}"})}
    steps = (Distillation(epochs=1, **fields),)
    task = Compress(model=model, models=named, dataset=DATA, steps=steps, outputs=("onnx",), seed=0)
    return folder, model, perform(task, folder, silent)


DESCRIBED = {
    "source": "layers",
    "layers": [
        {"type": "Linear", "in_features": 20, "out_features": 8},
        {"type": "ReLU"},
        {"type": "Linear", "in_features": 8, "out_features": CLASSES},
    ],
}


@pytest.mark.parametrize("student", [{"model": OTHER}, {"architecture": DESCRIBED}], ids=["model", "architecture"])
def test_another_student_is_what_is_delivered(tmp_path: Path, student: dict[str, Any]) -> None:
    folder, model, compression = job(tmp_path, small(), student=student)
    delivered = file_of(compression, "model.onnx")
    assert delivered.parameters == sum(parameter.numel() for parameter in small().parameters())
    assert all(measured(folder, model, file).verified.loaded for file in compression.files)


def test_another_teacher_can_be_larger_or_smaller(tmp_path: Path) -> None:
    _, _, compression = job(tmp_path, small(), teacher=OTHER, labels="none")
    assert file_of(compression, "model.onnx").parameters == file_of(compression, "uncompressed.onnx").parameters


def test_a_student_that_does_not_fit_ends_the_job_with_its_step(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        job(tmp_path, small(answers=3), student={"model": OTHER})
    assert (refused.value.code, refused.value.step) == ("student_does_not_fit", 0)
