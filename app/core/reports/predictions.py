"""How far off the job's prediction was."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from app.core import figures
from app.core.measurements import Result
from app.core.reports.tables import Cells

Number = TypeVar("Number", int, float)
COLUMNS = ("", "Predicted", "Measured", "Off by")


def predicted_and_measured(result: Result, seconds: float) -> Cells | None:
    """`seconds` are those that the job took; None for a job that nothing was predicted of."""
    if result.plan is None:
        return None
    rows = tuple(_rows(result, seconds))
    return Cells("Predicted and measured", COLUMNS, rows, "Predicted from facts before anything ran.")


def off_by(predicted: float, measured: float) -> float:
    """As a fraction of what was measured."""
    return (predicted - measured) / measured if measured else 0.0


def _rows(result: Result, seconds: float) -> Iterator[tuple[str, ...]]:
    assert result.plan is not None
    told, found = result.plan.predicted, result.compressed
    for artifact in result.artifacts:
        size = result.plan.size_of(artifact.name)
        if size is not None:
            yield _row(f"Size of {artifact.name}", size, artifact.measured.size_bytes, figures.size)
    yield _row("Parameters", told.parameters, found.parameters, figures.count)
    if found.nonzero_parameters != found.parameters or told.nonzero_parameters != told.parameters:
        yield _row("Parameters not zero", told.nonzero_parameters, found.nonzero_parameters, figures.count)
    if told.macs is not None and found.macs is not None:
        yield _row("Multiply-accumulates", told.macs, found.macs, figures.count)
    yield _row("Time of the job", told.seconds, seconds, figures.duration)
    if result.peak_memory_mb is not None:
        yield _row("Memory of the job", told.memory_mb, result.peak_memory_mb, figures.megabytes)


def _row(label: str, predicted: Number, measured: Number, written: Callable[[Number], str]) -> tuple[str, ...]:
    return label, written(predicted), written(measured), figures.signed_percent(off_by(predicted, measured))
