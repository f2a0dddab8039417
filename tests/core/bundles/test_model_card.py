"""The model card is one that the Hub accepts, whatever people call their models and data."""

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import model_index_to_eval_results

from app.core.bundles import model_card
from app.core.inputs import InputSpec
from app.core.measurements import ClassChange, PairedAnswers
from app.core.reports import ReportData
from tests.core.measured_files import MeasuredJob, int8_job, quality
from tests.core.reports.test_reports import report_of
from tests.worker.finished_jobs import NASTY

ONE_LINE = " ".join(NASTY.replace("\x07", "").split())


def data_of(card: str) -> ModelCardData:
    """As the Hub's own library reads it, invalid front matter refused."""
    return ModelCard(card, ignore_metadata_errors=False).data


@pytest.mark.parametrize("name", ["digits", NASTY, "a\ud800b", "- x", "null", "{}"])
def test_the_front_matter_names_model_data_and_figures(name: str) -> None:
    card = model_card(report_of(int8_job(), name))
    data = data_of(card)
    assert data.library_name == "onnx"
    assert {"cpu", "static-quantization"} <= set(data.tags)
    assert data.metrics == ["accuracy"]
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.98)
    shown = " ".join("".join(c for c in " ".join(name.split()) if c.isprintable()).split())
    assert " ".join(result.dataset_name.split()) == shown


def judged_by(metric: str, *labels_of_class: int, shape: tuple[int | str, ...], dtype: str = "float32") -> ReportData:
    """A finished job on 1,000 examples; `labels_of_class` are the counts that its result has."""
    report = report_of(int8_job())
    classes = tuple(
        ClassChange(label=label, examples=count, before=1, after=1, change_ci95=(0, 0))
        for label, count in enumerate(labels_of_class)
    )
    paired = PairedAnswers(lost=0, gained=0, mcnemar_p=1, classes=classes) if classes else None
    artifacts = tuple(
        artifact.model_copy(update={"measured": artifact.measured.model_copy(update={"quality": found})})
        for artifact in report.result.artifacts
        if (found := artifact.measured.quality.model_copy(update={"metric": metric}))
    )
    comparison = report.result.comparison.model_copy(update={"paired": paired})
    result = report.result.model_copy(update={"artifacts": artifacts, "comparison": comparison})
    taken = (InputSpec.model_validate({"name": "x", "shape": shape, "dtype": dtype}),)
    return report.model_copy(update={"result": result, "inputs": taken})


@pytest.mark.parametrize(
    ("report", "task"),
    [
        (judged_by("accuracy", 600, 400, shape=("batch", 3, 32, 32)), "image-classification"),
        (judged_by("accuracy", 600, 400, shape=("batch", "time"), dtype="int64"), "text-classification"),
        (judged_by("accuracy", 600, 400, shape=("batch", 13)), "tabular-classification"),
        (judged_by("mean_squared_error", shape=("batch", 13)), "tabular-regression"),
    ],
)
def test_the_task_stands_where_the_hub_looks_for_it(report: ReportData, task: str) -> None:
    data = data_of(model_card(report))
    assert data.pipeline_tag == task
    assert [result.task_type for result in data.eval_results] == [task]


@pytest.mark.parametrize(
    "report",
    [
        judged_by("agreement", shape=("batch", 3, 32, 32)),
        judged_by("accuracy", shape=("batch", 3, 32, 32)),
        judged_by("accuracy", 60_000, 40_000, shape=("batch", 3, 32, 32)),
        judged_by("accuracy", 9_000, 1_000, shape=("batch", "time"), dtype="int64"),
        judged_by("accuracy", 600, 400, shape=("batch", "time", 12)),
        judged_by("mean_squared_error", shape=("batch", 3, 32, 32)),
    ],
    ids=["no labels", "labels not counted", "pixels", "words", "sequences", "pictures to values"],
)
def test_a_task_that_is_not_known_is_not_claimed(report: ReportData) -> None:
    card = model_card(report)
    assert "pipeline_tag" not in card
    assert [result.task_type for result in data_of(card).eval_results] == ["other"]


def test_names_stay_text_in_the_card() -> None:
    body = model_card(report_of(int8_job(), NASTY)).split("\n---\n", 1)[1]
    assert "<script" not in body
    assert "[link](" not in body
    assert r"\`code\`" in body
    assert r"{{ 7\*7 }}" in body


def test_a_model_index_can_be_read_back() -> None:
    front = model_card(report_of(int8_job())).split("---\n")[1]
    name, results = model_index_to_eval_results(yaml.safe_load(front)["model-index"])
    assert (name, results[0].task_name) == ("digits", "Classification")


def test_without_data_the_card_says_that_inputs_were_random() -> None:
    job = int8_job()
    for name, found in job.found.items():
        job.found[name] = found.model_copy(update={"quality": quality(0.9, examples=256, synthetic=True)})
    (result,) = data_of(model_card(report_of(job).model_copy(update={"dataset_name": None}))).eval_results
    assert (result.metric_type, result.dataset_name) == ("agreement", "random inputs")


def test_without_any_quality_there_is_no_model_index() -> None:
    job = MeasuredJob().add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000)
    job.found = {name: found.model_copy(update={"quality": None}) for name, found in job.found.items()}
    assert data_of(model_card(report_of(job).model_copy(update={"steps": ()}))).eval_results is None


def test_the_card_says_what_to_know_and_how_to_run() -> None:
    card = model_card(report_of(int8_job(int8_milliseconds=1.4)))
    assert "int8 is slower" in card
    assert 'onnxruntime.InferenceSession("model.onnx")' in card
    assert "| File size | 4.00 MB | 1.00 MB | 4.00× smaller |" in card
