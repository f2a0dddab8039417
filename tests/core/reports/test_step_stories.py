"""What a report says of a step that trained, and of what steps say of themselves."""

import json
import re

import pytest

from app.core.details import DetailTable
from app.core.measurements import Epoch, Result
from app.core.recipes import FineTuning
from app.core.reports import render
from app.core.tasks import StepTiming
from tests.core.measured_files import MeasuredJob, quality
from tests.core.reports.test_reports import NASTY, Page, report_of


def epochs(*training: float, validation: float = 0.97, best: int = 1) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=number,
            epochs=len(training),
            loss=1 / number,
            learning_rate=1e-3,
            seconds=2.0,
            metric="accuracy",
            training_quality=value,
            validation_quality=validation,
            best=number <= best,
        )
        for number, value in enumerate(training, start=1)
    )


def trained_job(*curve: Epoch, details: tuple[DetailTable, ...] = (), test: float = 0.96) -> MeasuredJob:
    job = MeasuredJob("fine_tuning").add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000, judged=quality(test))
    job.steps = (StepTiming(technique="fine_tuning", seconds=3, epochs=curve, details=details),)
    return job


def written(job: MeasuredJob, kind: str) -> str:
    return render(report_of(job).model_copy(update={"steps": (FineTuning(),)}), kind)


def overfitting(result: Result) -> list[str]:
    return [warning for warning in result.warnings if "by heart" in warning]


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_qualities_of_the_kept_weights_stand_side_by_side(kind: str) -> None:
    text = Page(written(trained_job(*epochs(0.981, 0.992, 0.999, best=2)), kind)).text
    assert re.search(r"Training\W*Validation\W*Test[\s|:-]+99\.2 %[\s|]*97\.0 %[\s|]*96\.0 %", text)


def test_page_draws_the_curves_and_markdown_lists_them() -> None:
    job = trained_job(*epochs(0.981, 0.992))
    html, markdown = written(job, "report.html"), written(job, "report.md")
    assert "Training loss by epoch" in html
    assert "Accuracy by epoch" in html
    assert html.count("<svg") == 5
    assert re.search(r"\| 2 \| 0\.500 \| 99\.2 % \| 97\.0 % \| 0\.001 \| 2\.0 s \|", markdown)


def test_json_holds_the_curves_and_details() -> None:
    table = DetailTable(title="Channels", columns=("layer", "kept"), rows=(("conv1", 32),))
    body = json.loads(written(trained_job(*epochs(0.98, 0.99), details=(table,)), "report.json"))
    (step,) = body["result"]["steps"]
    assert [epoch["training_quality"] for epoch in step["epochs"]] == [0.98, 0.99]
    assert step["details"][0]["rows"] == [["conv1", 32]]


LAYERS = DetailTable(title="Layers of it", columns=("layer", "weight sqnr db"), rows=(("conv1", 41.5), ("fc", 12.5)))


def with_two_files() -> MeasuredJob:
    job = trained_job()
    judged = job.found["model.onnx"].quality
    fields = {"milliseconds": 3, "size_bytes": 3000, "format": "torchscript", "judged": judged}
    job.add("model.torchscript.pt", "artifact", **fields)
    job.files[1:] = [file.model_copy(update={"details": (LAYERS,)}) for file in job.files[1:]]
    return job


def test_tables_of_files_stand_with_them_and_only_those_of_the_best_are_unfolded() -> None:
    html = written(with_two_files(), "report.html")
    assert re.findall(r"<details( open)?>\s*<summary>Layers of it", html) == [" open", ""]
    body = json.loads(written(with_two_files(), "report.json"))
    assert [artifact["details"][0]["title"] for artifact in body["result"]["artifacts"]] == ["Layers of it"] * 2


def test_markdown_has_the_tables_of_files() -> None:
    markdown = written(with_two_files(), "report.md")
    assert markdown.count("**Layers of it**") == 2
    assert re.search(r"### model\.onnx[\s\S]*\| conv1 \| 41\.5 \|[\s\S]*### model\.torchscript", markdown)


def test_errors_of_the_best_file_are_drawn() -> None:
    html = written(with_two_files(), "report.html")
    assert "model.onnx: signal to rounding noise" in html
    assert "model.torchscript.pt: signal to rounding noise" not in html


def test_weights_from_which_training_began_may_be_the_best() -> None:
    job = trained_job(*epochs(0.99, 0.99, best=0))
    assert "No epoch was better" in written(job, "report.md")
    assert overfitting(job.result()) == []


@pytest.mark.parametrize(("training", "test", "warned"), [(0.999, 0.9, True), (0.98, 0.96, False), (0.90, 0.96, False)])
def test_training_far_above_test_is_called_overfitting(training: float, test: float, warned: bool) -> None:
    assert bool(overfitting(trained_job(*epochs(training), test=test).result())) == warned


def test_errors_are_compared_as_errors() -> None:
    curve = tuple(epoch.model_copy(update={"metric": "mean_squared_error"}) for epoch in epochs(0.1))
    judged = {"metric": "mean_squared_error", "agreement": None}
    for error, warned in ((0.3, True), (0.12, False)):
        job = trained_job(*curve)
        for name, found in job.found.items():
            quality_of_it = quality(error).model_copy(update=judged)
            job.found[name] = found.model_copy(update={"quality": quality_of_it})
        assert bool(overfitting(job.result())) == warned


def test_without_labels_training_is_compared_by_agreement() -> None:
    curve = tuple(epoch.model_copy(update={"metric": "agreement"}) for epoch in epochs(0.99))
    job = trained_job(*curve)
    judged = quality(0.97).model_copy(update={"agreement": 0.8})
    job.found["model.onnx"] = job.found["model.onnx"].model_copy(update={"quality": judged})
    assert job.result().steps[0].test_quality == 0.8
    assert overfitting(job.result())


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_details_are_shown_as_text_only(kind: str) -> None:
    table = DetailTable(
        title=NASTY, columns=("layer", NASTY[:100], "sqnr", "kept", "tiny"), rows=((NASTY, 1234, -31.25, True, 1e-9),),
        rows_left_out=17,
    )  # fmt: skip
    text = written(trained_job(details=(table,)), kind)
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "img", "a"}
    assert "[link](" not in text or kind == "report.html"
    for wanted in ("1,234", "−31.2", "yes", "1.00e-09", "17 more rows are left out"):
        assert wanted in page.text


def test_an_apostrophe_in_a_warning_stays_one_in_markdown() -> None:
    assert "More of the same won&#39;t help" in written(trained_job(*epochs(0.999), test=0.5), "report.md")


def test_a_step_that_another_job_ran_is_linked_to_it() -> None:
    job = trained_job(*epochs(0.98))
    assert "run by" not in Page(written(job, "report.html")).text
    job.steps = (StepTiming(technique="fine_tuning", seconds=3, run_by="job_7"),)
    assert '<small>run by <a href="/v1/jobs/job_7/report">job_7</a></small>' in written(job, "report.html")
    assert "s, by job_7 |" in written(job, "report.md")
