"""Which classes paid for it: answers lost and gained, by class."""

from app.core import figures
from app.core.measurements import ClassChange, PairedAnswers, Result
from app.core.reports.tables import Cells

MOST_ROWS = 6


def classes_that_paid(result: Result) -> Cells | None:
    """The classes that lost most; None without labelled classes, or where no answer was lost."""
    paired = result.comparison.paired
    if paired is None or not paired.lost:
        return None
    lost = [change for change in paired.classes if change.after < change.before]
    return Cells(
        "Classes that lost most",
        ("Class", "Test examples", "Before", "After", "Change, 95 % interval"),
        tuple(_row(change) for change in lost[:MOST_ROWS]),
        f"{_sentence(paired)} {_left_out(len(lost))}",
    )


def _row(change: ClassChange) -> tuple[str, ...]:
    difference = figures.change("accuracy", change.after - change.before)
    return (
        str(change.label),
        f"{change.examples:,}",
        figures.percent(change.before),
        figures.percent(change.after),
        f"{difference}, {figures.change_interval('accuracy', change.change_ci95)}",
    )


def _sentence(paired: PairedAnswers) -> str:
    return (
        f"{paired.lost:,} answers that were right are wrong now, {paired.gained:,} the other way round: p = "
        f"{paired.mcnemar_p:.2g} by McNemar's exact test, the chance of so uneven a split where neither is better. "
        "With many classes some intervals miss 0 by chance."
    )


def _left_out(lost: int) -> str:
    return f"{lost - MOST_ROWS:,} more classes lost answers; report.json has them." if lost > MOST_ROWS else ""
