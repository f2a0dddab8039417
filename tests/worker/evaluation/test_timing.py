"""Latency: interleaved, paired by round, and the same for two copies of one file."""

import gc
from pathlib import Path

import pytest

from app.core.inputs import InputSpec
from app.core.intervals import ratio_of_medians_ci95
from app.core.tasks import MeasureOptions, Time, Timings
from tests.worker.evaluation.conftest import JobFolder
from worker.evaluation.timing import time_files

ROOT = Path(__file__).parents[3]


def timed(job: JobFolder, **measure: object) -> Timings:
    files = (job.upload(), job.onnx("model.onnx"))
    task = Time(model=job.model, files=files, measure=MeasureOptions.model_validate(measure), seed=0)
    return time_files(task, job.path, lambda progress: None)


def test_every_file_has_one_sample_a_round_for_each_batch_size(job: JobFolder) -> None:
    timings = timed(job, repeats=7, batch_sizes=[1, 8])
    assert set(timings.latencies) == {"upload", "model.onnx"}
    for latencies in timings.latencies.values():
        assert [(latency.batch_size, len(latency.samples)) for latency in latencies] == [(1, 7), (8, 7)]
        assert all(0 < latency.median <= latency.p95 <= max(latency.samples) for latency in latencies)


def test_environment_names_what_the_figures_depend_on(job: JobFolder) -> None:
    environment = timed(job, repeats=5).environment
    assert environment.cpu
    assert environment.threads == 1
    assert {"python", "torch", "onnxruntime", "numpy", "modelpress"} <= set(environment.versions)


def test_garbage_collection_is_on_again_afterwards(job: JobFolder) -> None:
    timed(job, repeats=5)
    assert gc.isenabled()


@pytest.mark.slow
def test_a_file_timed_against_itself_is_no_faster(job: JobFolder) -> None:
    """An A/A run of the example network: a 95 % interval may miss 1.0 once in twenty, so three runs are made."""
    path = job.path / "inputs" / "cnn.pt"
    path.write_bytes((ROOT / "examples" / "mnist_cnn.torchscript.pt").read_bytes())
    file = job.upload().model_copy(update={"path": "inputs/cnn.pt"})
    model = job.model.model_copy(update={"inputs": (InputSpec(name="x", shape=("batch", 1, 28, 28)),)})
    files = tuple(file.model_copy(update={"name": name}) for name in ("first", "second"))
    held = 0
    for seed in range(3):
        task = Time(model=model, files=files, measure=MeasureOptions(repeats=200), seed=seed)
        latencies = time_files(task, job.path, lambda progress: None).latencies
        low, high = ratio_of_medians_ci95(latencies["first"][0].samples, latencies["second"][0].samples, seed)
        held += low <= 1.0 <= high
    assert held >= 2
