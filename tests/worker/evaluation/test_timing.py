"""Latency: interleaved, paired by round, and the same for two copies of one file."""

import gc
import time
from pathlib import Path

import pytest

from app.core.inputs import InputSpec
from app.core.intervals import ratio_of_medians_ci95
from app.core.tasks import MeasureOptions, Time, Timings
from tests.worker.evaluation.conftest import JobFolder, Recording, recording
from worker.evaluation import verification
from worker.evaluation.timing import Subject, time_files

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


def test_what_is_timed_has_met_no_other_shape(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN lays kernels out for the first one, and is slow with others."""
    runtimes: list[Recording] = []
    monkeypatch.setattr(verification, "load", recording(verification.load, runtimes))
    timed(job, repeats=5, batch_sizes=[1, 8])
    assert [runtime.sizes for runtime in runtimes] == [{1}, {1}, {8}, {8}]


def test_environment_names_what_the_figures_depend_on(job: JobFolder) -> None:
    environment = timed(job, repeats=5).environment
    assert environment.cpu
    assert environment.threads == 1
    assert {"python", "torch", "onnxruntime", "numpy", "modelpress"} <= set(environment.versions)


def test_garbage_collection_is_on_again_afterwards(job: JobFolder) -> None:
    timed(job, repeats=5)
    assert gc.isenabled()


def test_wall_clock_has_cpu_time_throughput_and_energy_beside_it(job: JobFolder) -> None:
    for latencies in timed(job, repeats=30, batch_sizes=[1, 8]).latencies.values():
        for latency in latencies:
            assert latency.examples_per_second == pytest.approx(1000 * latency.batch_size / latency.median)
            assert latency.cpu_median is not None
            assert 0 < latency.cpu_median < 1.5 * latency.median
            assert latency.energy is not None
            assert latency.energy.millijoules > 0


def test_sleeping_takes_no_cpu_time() -> None:
    sample = Subject("sleeper", lambda: time.sleep(0.005), 1, 5e6).sample()
    assert sample.wall >= 5
    assert sample.cpu < 2


def test_the_upload_is_timed_twice_in_every_round(job: JobFolder) -> None:
    again = timed(job, repeats=9, batch_sizes=[4, 1]).again
    assert again is not None
    assert (again.batch_size, len(again.samples)) == (4, 9)


@pytest.mark.slow
def test_a_file_timed_against_itself_is_no_faster(job: JobFolder) -> None:
    """An A/A run of the example network: a 95 % interval may miss 1.0 once in twenty, so three runs are made."""
    example = (ROOT / "examples" / "mnist_cnn.torchscript.pt").read_bytes()
    model = job.model.model_copy(update={"inputs": (InputSpec(name="x", shape=("batch", 1, 28, 28)),)})
    files = []
    for name, role in (("first", "upload"), ("second", "artifact")):  # copies: one path is timed once
        (job.path / "inputs" / f"{name}.pt").write_bytes(example)
        files.append(job.upload().model_copy(update={"name": name, "path": f"inputs/{name}.pt", "role": role}))
    held = 0
    for seed in range(3):
        task = Time(model=model, files=tuple(files), measure=MeasureOptions(repeats=200), seed=seed)
        timings = time_files(task, job.path, lambda progress: None)
        first, second, again = timings.latencies["first"][0], timings.latencies["second"][0], timings.again
        assert again is not None
        assert len({first.samples, second.samples, again.samples}) == 3
        for other in (second, again):
            low, high = ratio_of_medians_ci95(first.samples, other.samples, seed)
            held += low <= 1.0 <= high
    assert held >= 4
