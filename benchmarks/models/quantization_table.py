"""What the quantization bench knows, as Markdown."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from models.goals import GOALS, Goal, Reached, Row, reached, size_ratio
from models.side_by_side import UPLOAD

COLUMNS = ("model (quality)", "goal", "", "file", "size", "speed-up", "quality", "met")
OURS = "ours."
MOST_COST = 1.2


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


def costs_table(costs: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Of a task of ours and of a script of the others', with their ratios and the medians of these.

    A script imports what it needs in each run. Of ours the fork server does that once, so that it is left out of a
    task's seconds, and shown beside them. It is in the memory of both.
    """
    yield ""
    yield "| model | method | CPU seconds | ratio | with imports | peak MB | ratio |"
    yield "|---|---|---|---|---|---|---|"
    told = [
        (*pair, _ratios(both)) for pair, both in costs.items() if not any("failed" in each for each in both.values())
    ]
    for model, method, (cells, *_ratio) in told:
        yield f"| {model} | {method} | {cells} |"
    for place, what in ((1, "seconds"), (2, "memory")):
        ratios = [ratio[place] for _, _, ratio in told]
        if ratios:
            within = sum(ratio <= MOST_COST for ratio in ratios)
            yield f"{what}: median {median(ratios):.2f}, {within} of {len(ratios)} within {MOST_COST}"


def _ratios(both: Mapping[str, Mapping[str, Any]]) -> tuple[str, float, float]:
    ours, theirs = both["ours"], both["theirs"]
    seconds, memory = theirs["cpu_seconds"], ours["peak_mb"] / theirs["peak_mb"]
    own = ours["cpu_seconds"] - ours["import_seconds"]
    cells = (
        f"{own:.1f} and {seconds:.1f}",
        f"{own / seconds:.2f}",
        f"{ours['cpu_seconds'] / seconds:.2f}",
        f"{ours['peak_mb']} and {theirs['peak_mb']}",
        f"{memory:.2f}",
    )
    return " | ".join(cells), own / seconds, memory
