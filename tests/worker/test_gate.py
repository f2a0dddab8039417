"""What the gate says of the last candidates: each judged beside the upload, and all timed in one process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from torch import nn

from app.core.recipes import StaticQuantization
from app.core.studies.gate import GateOptions
from app.core.tasks import MeasureOptions, Task
from tests.worker.jobs import DATA, compress, file_of, inspected, job_folder, silent
from tests.worker.networks import CLASSES, Example
from worker.gate import Finalist, read_gate
from worker.pipeline import perform


class InThisProcess:
    """Children's work without children."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, task: Task, *_share: float) -> Any:
        return perform(task, self._folder, silent)


def test_files_of_the_same_name_are_told_apart_and_timed_beside_the_upload(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, Example(lambda: nn.Linear(6, CLASSES), (6,)))
    model, _ = inspected(folder)
    written = compress(folder, (StaticQuantization(),))
    finalists = [
        Finalist(job, file_of(written, name).model_copy(update={"name": "model.onnx"}))
        for job, name in (("job_1", "model.onnx"), ("job_2", "model.float32.onnx"))
    ]
    options = GateOptions(candidates=("job_1", "job_2"), outputs=("onnx",), seed=0, measure=MeasureOptions(repeats=5))
    lent = cast(Any, SimpleNamespace(path=folder, model_file=lambda: model, dataset_file=lambda: DATA))
    reading = read_gate(cast(Any, InThisProcess(folder)), lent, options, finalists)
    quantized, same = reading.files
    assert (quantized.job, same.job) == ("job_1", "job_2")
    assert (same.change, reading.baseline.examples) == (0, 20)
    for file in reading.files:
        assert file.latency_ms is not None
        assert file.speedup is not None
        assert file.speedup.median == file.speedup.runtime_only * file.speedup.compression_only
        assert file.load_ms is not None
    assert quantized.latency_ms != same.latency_ms
