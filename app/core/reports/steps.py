"""What single steps did: learning curves, the qualities of a network that trained, and tables of the step's own. What
was done to a single file after them has tables of its own, too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.core import figures
from app.core.details import DetailTable, Value
from app.core.measurements import Epoch, Result, StepResult
from app.core.reports.learning_curves import learning_curves
from app.core.reports.tables import Cells

SMALLEST_WRITTEN_OUT = 1e-4


@dataclass(frozen=True)
class StepStory:
    """`curves` are pairs of a caption and an SVG element."""

    name: str
    tables: tuple[Cells, ...]
    curves: tuple[tuple[str, str], ...]


def stories(result: Result) -> Iterator[StepStory]:
    """Of the steps that have more to say than their file does."""
    for position, step in enumerate(result.steps):
        trained = [_qualities(step), _epochs(step.epochs)] if step.epochs else []
        tables = (*trained, *map(_details, step.details))
        if tables:
            name = f"{position + 1}. {step.technique.replace('_', ' ')}"
            yield StepStory(name, tables, tuple(learning_curves(step)))


def tables_of_files(result: Result) -> dict[str, tuple[Cells, ...]]:
    """By the files' names."""
    return {artifact.name: tuple(map(_details, artifact.details)) for artifact in result.artifacts}


def _qualities(step: StepResult) -> Cells:
    """Side by side, so that overfitting shows."""
    kept, metric = step.kept_epoch, step.training_metric
    shown = (
        ("Training", figures.quality_of_training(metric, kept.training_quality if kept else None)),
        ("Validation", figures.quality_of_training(metric, kept.validation_quality if kept else None)),
        ("Test", figures.quality_of_training(metric, step.test_quality)),
    )
    name = metric.replace("_", " ").capitalize() if metric else "Quality"
    note = (
        "" if kept else "No epoch was better on validation than the weights from which training began: they were kept."
    )
    return Cells(
        f"{name} of the weights that were kept", tuple(n for n, _ in shown), (tuple(v for _, v in shown),), note
    )


def _epochs(epochs: Sequence[Epoch]) -> Cells:
    rows = tuple(
        (
            str(epoch.epoch),
            figures.digits(epoch.loss),
            figures.quality_of_training(epoch.metric, epoch.training_quality),
            figures.quality_of_training(epoch.metric, epoch.validation_quality),
            f"{epoch.learning_rate:.2g}",
            figures.duration(epoch.seconds),
        )
        for epoch in epochs
    )
    return Cells("Epochs", ("Epoch", "Loss", "Training", "Validation", "Learning rate", "Took"), rows)


def _details(table: DetailTable) -> Cells:
    note = f"{table.rows_left_out:,} more rows are left out." if table.rows_left_out else ""
    rows = tuple(tuple(_value(value) for value in row) for row in table.rows)
    return Cells(table.title, table.columns, rows, note)


def _value(value: Value) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2e}" if 0 < abs(value) < SMALLEST_WRITTEN_OUT else figures.signed_digits(value)
