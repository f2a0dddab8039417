"""A study's report says what was tried and what it came to, and nothing in it can act."""

import json

import pytest

from app.core.database import Database
from app.core.keys import LOCAL
from app.core.measurements import StepResult
from app.core.queue import Queue
from app.core.reports.policy import CONTENT_POLICY, SCRIPT
from app.core.reports.studies import render_study
from app.core.settings import Settings
from app.core.studies import reading
from app.core.studies.schemas import ReportedStudy
from app.core.tables import ModelRow
from tests.core.conftest import database, logs, settings, storage  # noqa: F401
from tests.core.reports.test_reports import NASTY, Page
from tests.core.studies.finished import INT8, PRUNING, add_material, end_in_order, measurement, result, started, steps


@pytest.fixture
def reported(database: Database, settings: Settings) -> ReportedStudy:  # noqa: F811
    """One pruning with two seeds and its controls, of which one fails; names that want to be more than names."""
    add_material(database)
    with database.writing() as session:
        session.get_one(ModelRow, "model_1").name = NASTY
    study = started(database, steps({**PRUNING, "exclude": [NASTY]}, INT8), controls=True, seeds=[0, 1], name=NASTY)
    shared = StepResult(technique="magnitude_pruning", seconds=90, run_by="job_1", after=measurement(1, 1, 1))
    end_in_order(
        database,
        Queue(database, settings, "worker-1"),
        *(result(400, 2.0, 0.97), result(420, 2.2, 0.98, steps_run=[shared])),
        *(result(400, 2.0, 0.50), None),
        *(result(400, 1.9, 0.90), result(400, 1.9, 0.91)),
    )
    return reading.get_reported(database, LOCAL, study.id)


def test_the_page_has_charts_with_controls_and_spread(reported: ReportedStudy) -> None:
    html = render_study(reported, "html")
    page = Page(html)
    charts = html.split("<figcaption>")[1:]
    assert [chart.partition("<")[0] for chart in charts] == [
        "File size against accuracy",
        "Time for a call against accuracy",
        "Multiply-accumulates against accuracy",
    ]
    marks = [attributes.get("aria-label", "") for _, attributes in page.elements]
    assert any(mark and mark.startswith("recipe 1: 410 B, 97.5 %") for mark in marks)
    assert all("var(--caution)" in chart for chart in charts)
    assert all('aria-roledescription="rule mark"' in chart for chart in charts)


@pytest.mark.parametrize("kind", ["html", "md"])
def test_it_says_what_was_tried_and_why_the_best_is_best(reported: ReportedStudy, kind: str) -> None:
    text = render_study(reported, kind)
    assert "1 recipe and 2 controls were compared." in text
    assert "97.5 % ± 0.7 %" in text
    assert "is the only recipe that loses at most 1 point of accuracy" in text
    assert "1 were taken over from jobs that begin alike, which saved 90 s" in text
    assert "The training diverged. It diverged." in text
    for point in reported.study.points:
        assert point.job in text


@pytest.mark.parametrize("kind", ["html", "md"])
def test_names_are_text_and_nothing_else(reported: ReportedStudy, kind: str) -> None:
    text = render_study(reported, kind)
    shown = text.partition("## Repeat it")[0] if kind == "md" else text
    assert "<script>alert" not in shown
    assert "<img src=//evil" not in shown
    if kind == "md":
        assert "[link](//evil.example)" not in shown


def test_the_page_runs_its_own_script_alone_and_asks_no_other_host(reported: ReportedStudy) -> None:
    html = render_study(reported, "html")
    page = Page(html)
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [CONTENT_POLICY]
    assert html.count(f"<script>{SCRIPT}</script>") == 1
    assert "script" not in {tag for tag, _ in page.elements}
    addresses = [value for _, a in page.elements for name, value in a.items() if name in {"href", "src"}]
    assert addresses
    assert all(address and address.startswith("../../jobs/job_") for address in addresses)


def test_json_has_all_of_it(reported: ReportedStudy) -> None:
    body = json.loads(render_study(reported, "json"))
    assert body["summary"].startswith("1 recipe and 2 controls were compared.")
    assert ReportedStudy.model_validate({name: body[name] for name in ReportedStudy.model_fields}) == reported


def test_sizes_far_apart_are_told_apart(database: Database, settings: Settings) -> None:  # noqa: F811
    add_material(database)
    study = started(database, steps(PRUNING), steps(INT8))
    end_in_order(database, Queue(database, settings, "w"), result(900, 2.0, 0.97), result(10, 2.2, 0.98))
    html = render_study(reading.get_reported(database, LOCAL, study.id), "html")
    assert "kB, logarithmic" in html
