"""A study's report: a page to read, Markdown to paste, JSON to compute with. Made when it is asked for, also of a study
that is still running.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.core import figures
from app.core.measurements import Metric
from app.core.recipes.wording import in_words
from app.core.reports.policy import CONTENT_POLICY, SCRIPT
from app.core.reports.rendering import as_json, templates
from app.core.reports.study_charts import pareto_charts
from app.core.studies.gate import GateFile, GateReading
from app.core.studies.schemas import ReportedStudy, Spread, Study, StudyGroup

StudyReportKind = Literal["html", "md", "json"]

_COMMON = (
    (
        "Front",
        "No other recipe is at least as good in size, time, multiply-accumulates and quality together, and better in "
        "one of them. The line in a chart is the front of that chart alone.",
    ),
    (
        "Time",
        "Every job times its files beside the upload, in one process and in random order. Jobs are compared by that "
        "speed-up; times in milliseconds are the upload's median over all jobs, divided by it.",
    ),
)
EXPLANATIONS = (
    *_COMMON,
    (
        "Controls",
        "Pruning of the same amount at random and by plain magnitude, with all other steps as they were. A criterion "
        "shows its worth only beside them.",
    ),
    (
        "Seeds",
        "With several, a figure is their mean, ± the standard deviation of the sample; bars in the charts are as long.",
    ),
    (
        "Best",
        "The fastest (or smallest, if that was asked for) of the recipes that keep the quality. It is chosen by the "
        "test data, so that its own quality on new data may be somewhat lower.",
    ),
)
EXPLANATIONS_OF_SEARCH = (
    *_COMMON,
    (
        "Trials",
        "All figures of trials are on one half of the test examples, drawn by the search's seed: the choice half. "
        "Their training and calibration see training examples alone. Files of a trial are loaded in one process, and "
        "those that keep to the budget are timed with few repeats. One that, after a third or two thirds of its "
        "training, stands far lower than all that kept to the budget in the end stood then is stopped early.",
    ),
    (
        "Budget",
        "The other half, the gate, is read once, when the search is over, for five trials at most: the cheapest that "
        "keeps to the budget on the choice half, the smallest that may be as fast, the cheapest that loses nothing "
        "there, the cheapest that surely keeps to it, and one that is safe. Where latency is minimized, the cheapest "
        "is the smallest of those within 5 % of the fastest. Proved says that the 95 % interval of the change there, "
        "paired by example, is inside the budget; measured, that the change is. Their files are measured "
        "anew for it, each in a process of its own, and all timed beside the upload.",
    ),
)


def render_study(report: ReportedStudy, kind: StudyReportKind) -> str:
    return _RENDERERS[kind](report)


def _html(report: ReportedStudy) -> str:
    return templates().get_template("study.html.j2").render(_shown(report), script=SCRIPT, policy=CONTENT_POLICY)


def _markdown(report: ReportedStudy) -> str:
    return templates().get_template("study.md.j2").render(_shown(report))


def _json(report: ReportedStudy) -> str:
    return as_json(summary(report.study), report)


_RENDERERS: dict[StudyReportKind, Callable[[ReportedStudy], str]] = {"html": _html, "md": _markdown, "json": _json}


def _shown(report: ReportedStudy) -> dict[str, object]:
    study = report.study
    return {
        "report": report,
        "study": study,
        "summary": summary(study),
        "metric": (study.metric or "quality").replace("_", " "),
        "upload": _upload(study),
        "rows": [_row(study, number, group) for number, group in enumerate(study.groups, start=1)],
        "charts": list(pareto_charts(study)),
        "stopped": [(point, in_words(point.recipe)) for point in study.points if point.stopped_early],
        "failures": [(failure, in_words(failure.recipe)) for failure in study.failures],
        "gate": [_gate_row(study.gate, file) for file in study.gate.files] if study.gate else [],
        "explanations": EXPLANATIONS if study.request.search is None else EXPLANATIONS_OF_SEARCH,
        "request": study.request.model_dump_json(indent=2, exclude_none=True),
    }


def summary(study: Study) -> str:
    if study.request.search is not None:
        trials = f"{_counted(len(study.groups), 'trial')} of a search succeeded"
        return f"{trials}. {study.best.why}" if study.best else f"{trials}."
    controls = sum(group.control for group in study.groups)
    recipes = len(study.groups) - controls
    beside = f" and {_counted(controls, 'control')}" if controls else ""
    compared = f"{_counted(recipes, 'recipe')}{beside} {'was' if recipes + controls == 1 else 'were'} compared"
    return f"{compared}. {study.best.why}" if study.best else f"{compared}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(frozen=True)
class UploadRow:
    size: str
    time: str
    macs: str
    quality: str


@dataclass(frozen=True)
class RecipeRow:
    """What one recipe came to; `jobs` are one for each seed."""

    number: int
    recipe: str
    jobs: tuple[str, ...]
    size: str
    speedup: str
    macs: str
    quality: str
    control: bool
    on_front: bool
    best: bool


@dataclass(frozen=True)
class GateRow:
    """What the gate half says of a candidate's best file."""

    job: str
    file: str
    examples: int
    before: str
    after: str
    change: str
    interval: str
    speedup: str


def _gate_row(gate: GateReading, file: GateFile) -> GateRow:
    return GateRow(
        job=file.job,
        file=file.file,
        examples=file.quality.examples,
        before=figures.quality(gate.metric, gate.baseline.value),
        after=figures.quality(gate.metric, file.quality.value),
        change=figures.change(gate.metric, file.change),
        interval=figures.change_interval(gate.metric, file.change_ci95),
        speedup=_speedup(file),
    )


def _speedup(file: GateFile) -> str:
    """With its 95 % interval."""
    if file.speedup is None:
        return ""
    low, high = map(figures.ratio, file.speedup.ci95)
    return f"{figures.ratio(file.speedup.median)} ({low} to {high})"


def _upload(study: Study) -> UploadRow | None:
    upload = study.baseline
    if upload is None:
        return None
    return UploadRow(
        size=figures.size(upload.size_bytes),
        time="" if upload.latency_ms is None else figures.milliseconds(upload.latency_ms),
        macs="" if upload.macs is None else figures.count(upload.macs),
        quality=_quality(study.metric, upload.quality),
    )


def _row(study: Study, number: int, group: StudyGroup) -> RecipeRow:
    return RecipeRow(
        number=number,
        recipe=in_words(group.recipe),
        jobs=group.jobs,
        size=_mean(group.size_bytes, lambda value: figures.size(round(value))),
        speedup=_mean(group.speedup, figures.ratio),
        macs=_mean(group.macs, lambda value: figures.count(round(value))),
        quality=_mean(group.quality, lambda value: _quality(study.metric, value)),
        control=group.control,
        on_front=group.on_front,
        best=study.best is not None and study.best.job in group.jobs,
    )


def _mean(spread: Spread | None, written: Callable[[float], str]) -> str:
    if spread is None:
        return ""
    mean = written(spread.mean)
    return f"{mean} ± {written(spread.standard_deviation)}" if spread.standard_deviation else mean


def _quality(metric: Metric | None, value: float | None) -> str:
    return "" if metric is None or value is None else figures.quality(metric, value)
