"""What the quantization bench knows, as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.goals import GOALS, Goal, Reached, Row, reached, size_ratio
from models.side_by_side import UPLOAD

COLUMNS = ("model (quality)", "goal", "", "file", "size", "speed-up", "quality", "met")
OURS = "ours."


def table(rows: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    """For each model the file of ours and the one of others that come nearest to the goal."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for model, of_model in rows.items():
        goal, upload = GOALS[model], of_model[UPLOAD]
        ours = {name: row for name, row in of_model.items() if name.startswith(OURS)}
        others = {name: row for name, row in of_model.items() if name != UPLOAD and name not in ours}
        head = f"{model} ({goal.quality(upload):.3f}) | {goal}"
        for whose, of_them in (("ours", ours), ("others", others)):
            for cells in _cells(goal, of_them, upload):
                yield f"| {head} | {whose} | {cells} |"
                head = " | "


def _cells(goal: Goal, rows: Mapping[str, Row], upload: Row) -> Iterator[str]:
    found = reached(goal, rows, upload)
    if found is None:
        yield "none keeps the quality | | | | no" if rows else "none made | | | | "
        return
    for name in dict.fromkeys((found.smallest, found.fastest)):
        yield _cell(goal, name, rows[name], upload, found)


def _cell(goal: Goal, name: str, row: Row, upload: Row, found: Reached) -> str:
    return " | ".join((name.removeprefix(OURS), *figures(goal, row, upload), "yes" if found.met else "**no**"))


def figures(goal: Goal, row: Row, upload: Row) -> tuple[str, str, str]:
    """How much smaller, how much faster, how good."""
    low, high = row["speedup_ci95"]
    speedup = f"{row['speedup']:.2f} x ({low:.2f} to {high:.2f})"
    return f"{size_ratio(row, upload):.2f} x", speedup, f"{goal.quality(row):.4f}"


def costs_table(costs: Mapping[tuple[str, str], tuple[dict[str, Any] | None, dict[str, Any] | None]]) -> Iterator[str]:
    """CPU seconds and peak memory of one process: ours, the other's, and their ratio."""
    yield ""
    yield "| model | method | CPU seconds | ratio | peak MB | ratio |"
    yield "|---|---|---|---|---|---|"
    for (model, method), (ours, theirs) in costs.items():
        if ours is None or theirs is None or "failed" in ours or "failed" in theirs:
            continue
        cells = [
            f"{ours[what]:.{digits}f} and {theirs[what]:.{digits}f} | {ours[what] / theirs[what]:.2f}"
            for what, digits in (("cpu_seconds", 1), ("peak_mb", 0))
        ]
        yield f"| {model} | {method} | {' | '.join(cells)} |"
