import json

import pytest

from app.core.measurements import Predicted, PredictedFile, Prediction
from app.core.reports import ReportData, ReportKind, render
from app.core.reports.predictions import predicted_and_measured
from tests.core.measured_files import MeasuredJob
from tests.core.reports.test_reports import report_of

PLAN = Prediction(
    predicted=Predicted(
        size_bytes=1200, parameters=1000, nonzero_parameters=1000, macs=4000, seconds=30.0, memory_mb=190.0
    ),
    files=(PredictedFile(name="model.onnx", format="onnx", size_bytes=1200),),
)


@pytest.fixture
def unpredicted() -> ReportData:
    job = MeasuredJob("static_quantization")
    job.add("upload", "upload", milliseconds=2, size_bytes=4000)
    job.add("uncompressed.onnx", "uncompressed", milliseconds=1, size_bytes=2000)
    job.add("step-0.onnx", "step", milliseconds=1, size_bytes=1000, step=0)
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=1000)
    return report_of(job)


@pytest.fixture
def report(unpredicted: ReportData) -> ReportData:
    result = unpredicted.result.model_copy(update={"plan": PLAN, "peak_memory_mb": 380.0})
    return unpredicted.model_copy(update={"result": result})


def test_it_says_how_far_off_each_figure_was(report: ReportData) -> None:
    cells = predicted_and_measured(report.result, seconds=40.0)
    assert cells is not None
    assert {row[0]: row[3] for row in cells.rows} == {
        "Size of model.onnx": "+20 %",
        "Parameters": "+0 %",
        "Multiply-accumulates": "−20 %",
        "Time of the job": "−25 %",
        "Memory of the job": "−50 %",
    }


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_the_table_is_in_the_report(report: ReportData, unpredicted: ReportData, kind: ReportKind) -> None:
    assert "Predicted and measured" in render(report, kind)
    assert "Predicted and measured" not in render(unpredicted, kind)


def test_the_json_has_the_prediction(report: ReportData) -> None:
    assert json.loads(render(report, "report.json"))["result"]["plan"]["predicted"]["seconds"] == 30.0
