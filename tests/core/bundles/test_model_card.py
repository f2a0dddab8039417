"""The model card is one that the Hub accepts, whatever people call their models and data."""

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import model_index_to_eval_results

from app.core.bundles import model_card
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
