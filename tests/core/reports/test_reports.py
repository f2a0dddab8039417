"""A report says what was measured, to a person and to a program, and nothing in it can act."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from app.core.inputs import InputSpec
from app.core.job_options import JobRequest
from app.core.recipes import StaticQuantization
from app.core.recipes.recipe import Recipe
from app.core.reports import CONTENT_POLICY, REPORT_KINDS, ReportData, ReportKind, render
from app.core.reports.policy import SCRIPT
from app.core.reports.sentence import sentence
from tests.core.measured_files import MeasuredJob, int8_job, quality

NASTY = "x</title><script>alert(1)</script><img src=//evil.example/a.png> | `code` **bold** [link](//evil.example)"


def report_of(job: MeasuredJob, name: str = "digits", **request: object) -> ReportData:
    sent = {"model": "model_1", "dataset": "dataset_1", "recipe": {"preset": "small"}, **request}
    return ReportData.model_validate(
        {
            "job": "job_1",
            "request": JobRequest.model_validate(sent),
            "steps": (StaticQuantization(examples=50),),
            "model_name": name,
            "dataset_name": name,
            "inputs": (InputSpec(name="x", shape=("batch", 1, 28, 28)),),
            "created_at": 1_790_000_000.0,
            "started_at": 1_790_000_001.0,
            "finished_at": 1_790_000_061.0,
            "result": job.result(),
        }
    )


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text beside them. The page's own script is neither."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html.replace(f"<script>{SCRIPT}</script>", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_sentence_gives_size_speed_and_quality_with_its_interval() -> None:
    job = int8_job()
    job.found["model.onnx"] = job.found["model.onnx"].model_copy(
        update={"quality": quality(0.977), "quality_change_ci95": (-0.009, 0.003)}
    )
    assert re.fullmatch(
        r"4\.00 MB → 1\.00 MB, (3\.9|4\.0|4\.1)\d?× faster on one thread of this CPU, of which [12]\.\d\d× is the "
        r"runtime; accuracy 98\.0 % → 97\.7 % on 1,000 test examples, 95 % interval −0\.9 to \+0\.3 points\.",
        sentence(job.result()),
    )


@pytest.mark.parametrize(
    ("int8_milliseconds", "words"), [(2.0, "as fast as before"), (4.0, "slower"), (1.1, "all of it by the runtime")]
)
def test_sentence_claims_no_speed_that_is_not_there(int8_milliseconds: float, words: str) -> None:
    assert words in sentence(int8_job(int8_milliseconds=int8_milliseconds).result())


def test_sentence_says_when_inputs_were_random() -> None:
    job = int8_job()
    for name, found in job.found.items():
        job.found[name] = found.model_copy(update={"quality": quality(0.9, examples=256, synthetic=True)})
    assert "agrees with the upload on 90.0 % of 256 random inputs" in sentence(job.result())


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_reader_finds_sentence_figures_files_and_warnings(kind: ReportKind) -> None:
    report = report_of(int8_job(int8_milliseconds=1.4))
    text = Page(render(report, kind)).text
    for wanted in (sentence(report.result), "4.00× smaller", "model.float32.onnx", "int8 is slower", "A CPU"):
        assert wanted in text
    assert 'onnxruntime.InferenceSession("model.onnx")' in text


def test_page_asks_no_host_and_runs_no_script_but_its_own() -> None:
    assert render(report_of(int8_job(), NASTY), "report.html").count(f"<script>{SCRIPT}</script>") == 1
    page = Page(render(report_of(int8_job(), NASTY), "report.html"))
    tags = {tag for tag, _ in page.elements}
    assert "svg" in tags
    assert not tags & {"script", "link", "img", "iframe", "object", "a", "image", "use"}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in {"src", "href"} for name in attributes)
    html = render(report_of(int8_job()), "report.html")
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_lets_the_pages_own_script_run_and_no_other() -> None:
    (policy,) = [
        a["content"] for _, a in Page(render(report_of(int8_job()), "report.html")).elements if "http-equiv" in a
    ]
    assert policy == CONTENT_POLICY
    (allowed,) = re.findall(r"script-src ([^;]+);", policy)
    assert allowed == f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
    assert "default-src 'none'" in policy


def test_names_of_uploads_stay_text_in_markdown() -> None:
    markdown = render(report_of(int8_job(), NASTY), "report.md")
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "[link](" not in markdown
    assert r"\*\*bold\*\*" in markdown


def test_warnings_of_children_stay_text_too() -> None:
    job = int8_job()
    job.found["upload"] = job.found["upload"].model_copy(update={"warnings": (NASTY,)})
    assert "script" not in {tag for tag, _ in Page(render(report_of(job), "report.html")).elements}
    assert "<script" not in render(report_of(job), "report.md")


def test_charts_show_every_delivered_file() -> None:
    html = render(report_of(int8_job(int8_milliseconds=1.4)), "report.html")
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        assert all(name in drawing for name in ("upload", "model.onnx", "model.float32.onnx"))


def test_json_report_holds_the_whole_result_with_raw_samples() -> None:
    report = report_of(int8_job())
    body = json.loads(render(report, "report.json"))
    assert body["summary"] == sentence(report.result)
    assert len(body["result"]["baseline"]["latency_ms"][0]["samples"]) == 101


def test_recipe_can_be_posted_again_and_names_the_steps_that_ran() -> None:
    report = report_of(int8_job(), outputs=["onnx"], seed=7, minimize="size", measure={"repeats": 20})
    again = JobRequest.model_validate_json(render(report, "recipe.json"))
    assert again.recipe == Recipe(steps=(StaticQuantization(examples=50),))
    assert again.model_copy(update={"recipe": report.request.recipe}) == report.request


@pytest.mark.parametrize("kind", REPORT_KINDS)
def test_report_of_a_job_without_steps_and_data_is_written(kind: ReportKind) -> None:
    job = MeasuredJob().add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000)
    report = report_of(job, dataset=None).model_copy(update={"steps": (), "dataset_name": None})
    assert "model_1" in render(report, kind) or sentence(report.result) in render(report, kind)
