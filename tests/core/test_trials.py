"""Of a search's trial: which of its files are timed, and which are delivered."""

import pytest

from app.core.budgets import Budget
from app.core.job_options import Goal
from app.core.result_warnings import OF_A_TRIAL
from tests.core.measured_files import MeasuredJob, quality

ONE_POINT = Budget(max_quality_drop=0.01)
FILES = {
    "fast.onnx": (0.5, 3000, 0.975),
    "middle.onnx": (0.7, 2500, 0.98),
    "small.onnx": (0.9, 1000, 0.972),
    "lossy.onnx": (0.1, 500, 0.9),
}


def trial(**files: tuple[float, int, float]) -> MeasuredJob:
    """Milliseconds, bytes and accuracy by name; the upload has 2 ms, 4000 bytes and .98."""
    job = MeasuredJob().add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("uncompressed.onnx", "uncompressed", milliseconds=1, size_bytes=4000)
    for name, (milliseconds, size_bytes, value) in files.items():
        judged = quality(value)
        job.add(name, "artifact", milliseconds=milliseconds, size_bytes=size_bytes, precision="float32", judged=judged)
    return job


@pytest.mark.parametrize(
    ("budget", "minimize", "timed"),
    [
        (ONE_POINT, "latency", ["fast.onnx", "middle.onnx", "small.onnx"]),
        (ONE_POINT, "size", ["small.onnx"]),
        (Budget(max_quality_drop=0.01, max_latency_ms=0.8), "size", ["fast.onnx", "middle.onnx", "small.onnx"]),
        (Budget(max_quality_drop=0.001), "latency", ["middle.onnx"]),
        (Budget(max_quality_drop=0.001, max_size_bytes=10), "latency", ["lossy.onnx"]),
    ],
)
def test_only_files_that_keep_to_the_budget_are_timed(budget: Budget, minimize: Goal, timed: list[str]) -> None:
    """Where none does, the one that comes nearest."""
    assert trial(**FILES).contenders(budget, minimize) == ["upload", "uncompressed.onnx", *timed]


def test_the_fastest_and_the_smallest_of_those_that_keep_to_the_budget_are_delivered() -> None:
    result = trial(**FILES).result(budget=ONE_POINT)
    assert result.best == "fast.onnx"
    assert [artifact.name for artifact in result.artifacts] == ["fast.onnx", "small.onnx"]


def test_its_report_says_what_its_figures_are_worth() -> None:
    assert OF_A_TRIAL in trial(**FILES).result(budget=ONE_POINT).warnings
    assert OF_A_TRIAL not in trial(**FILES).result().warnings
