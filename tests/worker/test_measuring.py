"""A file that doesn't answer as the network does is never delivered; the others are, with a warning that names it."""

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from app.core.errors import Problem
from app.core.job_options import JobOptions
from app.core.measurements import Result
from app.core.recipes import MagnitudePruning, Step
from app.core.results import assemble
from app.core.tasks import Answer, Compress, Compression, MeasureOptions, Task
from tests.core.rows import dataset_row, model_row
from tests.worker.jobs import DATA, job_folder, silent
from tests.worker.networks import NETWORKS
from worker import job_folder as places
from worker.children_of_job import ChildrenOfJob
from worker.finishing import Measured, facts_of_files, facts_of_upload
from worker.job_folder import JobFolder
from worker.measuring import measure
from worker.messages import reported
from worker.pipeline import perform

PRUNING = MagnitudePruning(sparsity=0.3)
OPTIONS = JobOptions.model_validate({"recipe": {"preset": "safe"}, "measure": MeasureOptions(repeats=5)})
INPUTS = [{"name": "input", "shape": ["batch", 20]}]


class InThisProcess(ChildrenOfJob):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak_memory_mb = 0.0

    def run(self, task: Task, *_: object, **__: object) -> Answer:  # type: ignore[override]
        try:
            return perform(task, self.folder, silent)
        except Problem as problem:
            raise reported(problem.body()) from problem


def written(path: Path, *steps: Step, outputs: tuple[str, ...]) -> tuple[JobFolder, Compression]:
    job_folder(path, NETWORKS["mlp"])
    (path / "inputs/model.pt").rename(path / places.MODEL)
    (path / DATA.path).rename(path / places.DATASET)
    folder = JobFolder(path, model_row(given_inputs=INPUTS), dataset_row(format="npz"))
    task = Compress(model=folder.model_file(), dataset=folder.dataset_file(), steps=steps, outputs=outputs, seed=0)
    return folder, perform(task, path, silent)


def spoil(path: Path) -> None:
    """One weight answers for all others."""
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 1, weight.name))
    onnx.save(model, path)


def result_of(folder: JobFolder, compression: Compression) -> Result:
    measured: Measured = measure(InThisProcess(folder.path), folder, OPTIONS, compression)
    return assemble(
        measured.compression,
        measured.measurements,
        measured.timings,
        facts_of_files(folder, measured.compression),
        upload=facts_of_upload(folder),
        minimize="latency",
        seed=0,
    )


@pytest.mark.parametrize("spoilt", ["model.onnx", "uncompressed.onnx"])
def test_the_other_formats_are_delivered(spoilt: str, tmp_path: Path) -> None:
    folder, compression = written(tmp_path / "job", PRUNING, outputs=("onnx", "torchscript"))
    spoil(folder.outputs / spoilt)
    result = result_of(folder, compression)
    assert [artifact.format for artifact in result.artifacts] == ["torchscript"]
    (warning,) = (each for each in result.warnings if "left out" in each)
    assert warning.startswith(f"onnx was left out. {spoilt} doesn't answer as the network it was written from")
    assert result.steps[0].after.quality is not None


def test_the_job_fails_where_nothing_else_was_asked_for(tmp_path: Path) -> None:
    folder, compression = written(tmp_path / "job", PRUNING, outputs=("onnx",))
    spoil(folder.outputs / "model.onnx")
    with pytest.raises(Problem, match="It is not delivered") as caught:
        result_of(folder, compression)
    assert caught.value.code == "artifact_differs"


def test_a_step_whose_file_differs_is_not_measured_and_the_last_one_is(tmp_path: Path) -> None:
    folder, compression = written(tmp_path / "job", PRUNING, MagnitudePruning(sparsity=0.6), outputs=("onnx",))
    spoil(folder.outputs / "step-0.onnx")
    result = result_of(folder, compression)
    assert [artifact.name for artifact in result.artifacts] == ["model.onnx"]
    assert any(warning.startswith("What step 0 left was not measured.") for warning in result.warnings)
    first, last = (step.after for step in result.steps)
    assert (first.quality, first.latency_ms) == (None, ())
    assert first.nonzero_parameters > last.nonzero_parameters
    assert last.quality is not None
