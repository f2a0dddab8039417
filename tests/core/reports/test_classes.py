"""Which classes paid for it, and what else was measured beside the wall clock."""

import pytest

from app.core.intervals import mcnemar_p
from app.core.measurements import ClassChange, Energy, Noise, PairedAnswers
from app.core.reports import ReportData, ReportKind, render
from app.core.reports.classes import MOST_ROWS, classes_that_paid
from tests.core.measured_files import int8_job
from tests.core.reports.test_reports import Page, report_of


def paired(*changes: float, lost: int = 12, gained: int = 5) -> PairedAnswers:
    classes = tuple(
        ClassChange(
            label=number, examples=100, before=0.9, after=0.9 + change, change_ci95=(change - 0.05, change + 0.05)
        )
        for number, change in enumerate(changes)
    )
    return PairedAnswers(lost=lost, gained=gained, mcnemar_p=mcnemar_p(lost, gained), classes=classes)


def with_pairs(answers: PairedAnswers) -> ReportData:
    job = int8_job()
    job.found["model.onnx"] = job.found["model.onnx"].model_copy(update={"paired": answers})
    return report_of(job)


@pytest.mark.parametrize("kind", ["report.html", "report.md"])
def test_classes_that_lost_stand_with_their_intervals(kind: ReportKind) -> None:
    text = Page(render(with_pairs(paired(-0.08, -0.01, 0.02)), kind)).text
    assert "Classes that lost most" in text
    assert "−8.0 points, −13.0 to −3.0 points" in text
    assert "12 answers that were right are wrong now, 5 the other way round: p = 0.14" in text
    assert "+2.0 points" not in text


def test_only_the_worst_few_are_listed() -> None:
    cells = classes_that_paid(with_pairs(paired(*([-0.02] * (MOST_ROWS + 3)))).result)
    assert cells is not None
    assert len(cells.rows) == MOST_ROWS
    assert "3 more classes lost answers" in cells.note


def test_where_nothing_was_lost_no_class_has_paid() -> None:
    assert classes_that_paid(with_pairs(paired(0.02, lost=0)).result) is None
    assert classes_that_paid(report_of(int8_job()).result) is None


@pytest.mark.parametrize(("source", "words"), [("model", "a model, not measured"), ("rapl", "by the CPU's counters")])
def test_energy_says_where_it_comes_from(source: str, words: str) -> None:
    job = int8_job()
    beside = {"cpu_median": 0.4, "examples_per_second": 2000.0, "energy": Energy(millijoules=4, source=source)}
    for name, (latency,) in job.latencies.items():
        job.latencies[name] = (latency.model_copy(update=beside),)
        job.found[name] = job.found[name].model_copy(update={"load_ms": 12.0})
    text = Page(render(report_of(job), "report.html")).text
    for wanted in (
        words,
        "4.00 mJ",
        "CPU time of it",
        "0.400 ms",
        "Examples a second",
        "2,000",
        "Time to load",
        "12.0 ms",
    ):
        assert wanted in text


def test_noise_is_told_and_warned_of_where_it_hides_differences() -> None:
    job = int8_job()
    job.again = job.latencies["upload"][0]
    result = job.result()
    assert result.noise == Noise(ratio=1.0, ci95=(1.0, 1.0))
    assert not any("too busy" in warning for warning in result.warnings)
    assert "timed a second time" in render(report_of(job), "report.html")
    slower = tuple(1.1 * sample for sample in job.again.samples)
    job.again = job.again.model_copy(update={"samples": slower})
    assert any("too busy" in warning for warning in job.result().warnings)


@pytest.mark.parametrize(("cpu", "warned"), [(1.9, False), (0.9, True)])
def test_a_call_that_waited_for_the_cpu_is_told(cpu: float, warned: bool) -> None:
    """The upload takes 2 ms by the clock."""
    job = int8_job()
    job.latencies["upload"] = (job.latencies["upload"][0].model_copy(update={"cpu_median": cpu}),)
    told = [warning for warning in job.result().warnings if "kept the CPU" in warning]
    assert bool(told) == warned
