"""A study's points as a table."""

from rich.table import Table
from rich.text import Text

from app.cli.printing import console
from app.cli.results import NOTHING
from app.core import figures
from app.core.jobs import Job
from app.core.recipes.wording import in_words
from app.core.studies.schemas import Spread, Study, StudyGroup


def ended_job(job: Job) -> str:
    """One line, as soon as a job has ended."""
    words = in_words(job.recipe) if job.recipe else "test examples that no trial saw"
    if job.error is not None:
        return f"failed: {words}: {job.error.title}"
    return f"{job.status}: {words}, seed {job.seed}"


def print_study(study: Study) -> None:
    if study.groups:
        console.print(_table_of(study))
    if study.best is not None:
        console.print(f"Best: {study.best.job}. {study.best.why}", markup=False, highlight=False)
    if study.saved.steps_shared:
        console.print(
            f"Steps run: {study.saved.steps_run}; taken over from jobs that begin alike: {study.saved.steps_shared}, "
            f"which saved {figures.duration(study.saved.seconds_saved)}.",
            highlight=False,
        )
    for failure in study.failures:
        console.print(f"! {in_words(failure.recipe)} failed. {failure.error.detail}", style="yellow", markup=False)
    for warning in study.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, highlight=False)


def _table_of(study: Study) -> Table:
    """The upload, and a row for each recipe."""
    table = Table(title="Recipes, and * for those on the front", title_justify="left")
    table.add_column("recipe", overflow="fold")
    for heading in ("size", "speed-up", "MACs", (study.metric or "quality").replace("_", " ")):
        table.add_column(heading, justify="right", no_wrap=True)
    baseline = study.baseline
    if baseline is not None:
        macs = NOTHING if baseline.macs is None else figures.count(baseline.macs)
        table.add_row(
            "the upload", figures.size(baseline.size_bytes), figures.ratio(1), macs, _value(study, baseline.quality)
        )
    for group in study.groups:
        table.add_row(*_row(study, group))
    return table


def _row(study: Study, group: StudyGroup) -> tuple[Text | str, ...]:
    best = study.best is not None and study.best.job in group.jobs
    marks = f"{'* ' if group.on_front else ''}{'control: ' if group.control else ''}"
    return (
        Text(f"{marks}{in_words(group.recipe)}", style="bold" if best else "dim" if group.control else ""),
        figures.size(round(group.size_bytes.mean)),
        NOTHING if group.speedup is None else figures.ratio(group.speedup.mean),
        NOTHING if group.macs is None else figures.count(round(group.macs.mean)),
        _quality(study, group.quality),
    )


def _quality(study: Study, spread: Spread | None) -> str:
    if spread is None or study.metric is None:
        return NOTHING
    value = _value(study, spread.mean)
    if spread.standard_deviation is None:
        return value
    return f"{value} ± {_value(study, spread.standard_deviation)}"


def _value(study: Study, quality: float | None) -> str:
    return NOTHING if quality is None or study.metric is None else figures.quality(study.metric, quality)
