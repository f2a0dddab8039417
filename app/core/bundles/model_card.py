"""README.md: a model card, with the front matter that the Hugging Face Hub reads."""

from app.core.bundles.pipeline_tag import pipeline_tag
from app.core.bundles.templates import template
from app.core.instructions import said_of
from app.core.measurements import Metric, OutputFormat, Quality
from app.core.reports import ReportData
from app.core.reports.running import lines_to_run, needed_beside, needed_packages
from app.core.reports.sentence import sentence
from app.core.reports.tables import before_and_after

_LIBRARIES: dict[OutputFormat, str] = {"onnx": "onnx", "openvino": "openvino"}
_METRICS: dict[Metric, str] = {"accuracy": "accuracy", "mean_squared_error": "mse", "agreement": "agreement"}
_TASKS: dict[Metric, str] = {
    "accuracy": "Classification",
    "mean_squared_error": "Regression",
    "agreement": "Answering as the uncompressed model",
}


def model_card(report: ReportData) -> str:
    best, result = report.best, report.result
    techniques = list(dict.fromkeys(step.technique.replace("_", "-") for step in report.steps))
    return template("README.md.j2").render(
        report=report,
        result=result,
        best=best,
        task=pipeline_tag(report),
        library=_LIBRARIES.get(best.format, "pytorch"),
        tags=["modelpress", "compressed", "cpu", *best.arithmetic, *techniques],
        techniques=techniques,
        judged=_judged(report, best.measured.quality),
        sentence=sentence(result),
        rows=before_and_after(result),
        lines=lines_to_run(best.name, best.format, report.inputs, best.engine),
        packages=needed_packages(best.format),
        beside=needed_beside(best.name, best.format),
        instructions=[said_of(arithmetic) for arithmetic in best.arithmetic],
    )


def _judged(report: ReportData, quality: Quality | None) -> dict[str, object] | None:
    """What the front matter says of the quality: on which data, by which metric, how good."""
    if quality is None:
        return None
    return {
        "task": _TASKS[quality.metric],
        "data": "random inputs" if quality.synthetic else report.dataset_name,
        "metric": _METRICS[quality.metric],
        "value": quality.value,
        "examples": quality.examples,
    }
