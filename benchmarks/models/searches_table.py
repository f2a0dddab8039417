"""What the bench of searches knows, as Markdown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.goals import SEARCH_GOALS, TO_BE_AHEAD, Goal, Row, ahead_of, extremes, reached
from models.quantization_table import figures
from models.side_by_side import UPLOAD

from app.core.recipes.recipe import Recipe

SEARCH, PRESET = "search", "preset"
TRIALS = ("model", "search", "budget kept", "trials that ended well", "distinct recipes", "the best")
FILES = ("model (quality)", "goal", "reached", "ahead of preset, others in size, in speed")
SHOWN = ("fastest of the search", "smallest of it", "fastest preset", "fastest of others", "smallest of others")


def trials_table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from _head(TRIALS)
    for model, of_model in found.items():
        study = of_model["study"]
        recipes = {point["job"]: point["recipe"] for point in study["points"] if point["size_bytes"] is not None}
        distinct = len({json.dumps(recipe, sort_keys=True) for recipe in recipes.values()})
        best = study["best"]
        told = (study["status"], best["met_budget"], len(recipes), distinct, f"`{_short(recipes[best['job']])}`")
        yield f"| {model} | {' | '.join(map(str, told))} |"


def _short(recipe: Mapping[str, Any]) -> str:
    """Its steps without what is so by default."""
    steps = Recipe.model_validate(recipe).steps or ()
    given = [step.model_dump(mode="json", exclude_defaults=True) | {"technique": step.technique} for step in steps]
    return json.dumps(given)


@dataclass(frozen=True)
class Group:
    """Files of one maker that keep the quality: which is the smallest, and which the fastest."""

    goal: Goal
    rows: Mapping[str, Row]
    upload: Row

    def smallest(self) -> str | None:
        found = extremes(self.goal, self.rows, self.upload)
        return found and found.smallest

    def fastest(self) -> str | None:
        found = extremes(self.goal, self.rows, self.upload)
        return found and found.fastest

    def is_ahead_of(self, other: "Group") -> tuple[bool, bool]:
        """In size, and in speed."""
        smaller, faster = self.smallest(), self.fastest()
        if smaller is None or faster is None:
            return False, False
        beaten_size, beaten_speed = other.smallest(), other.fastest()
        return (
            beaten_size is None or self.rows[smaller]["bytes"] < other.rows[beaten_size]["bytes"],
            beaten_speed is None or self.rows[faster]["speedup"] > other.rows[beaten_speed]["speedup"],
        )

    def reaches(self) -> str:
        """The goal, by which of the files."""
        together = reached(replace(self.goal, together=True), self.rows, self.upload)
        apart = extremes(self.goal, self.rows, self.upload)
        if together is not None and together.met:
            return f"by one file: {_file(together.fastest)}"
        return "by two files" if apart is not None and apart.met else "**no**"

    def cell(self, name: str | None) -> str:
        if name is None:
            return "none keeps the quality"
        return f"{_file(name)}: {', '.join(figures(self.goal, self.rows[name], self.upload))}"


def files_table(rows: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    yield from _head((*FILES, *SHOWN))
    for model, of_model in rows.items():
        yield f"| {' | '.join(_cells(model, of_model))} |"


def _cells(model: str, rows: Mapping[str, Row]) -> Iterator[str]:
    upload, goal = rows[UPLOAD], SEARCH_GOALS[model]
    whose = {name: name.partition(".")[0].partition("-")[0] for name in rows}
    ours, presets = ({n: row for n, row in rows.items() if whose[n] == maker} for maker in (SEARCH, PRESET))
    theirs = {name: row for name, row in rows.items() if name not in {UPLOAD, *ours, *presets}}
    if model in TO_BE_AHEAD:
        goal = ahead_of(theirs, goal, upload)
    best, preset, others = (Group(goal, each, upload) for each in (ours, presets, theirs))
    yield f"{model} ({goal.quality(upload):.3f})"
    yield str(goal)
    yield best.reaches()
    ahead = (best.is_ahead_of(preset)[1], *best.is_ahead_of(others))
    yield ", ".join("yes" if each else "**no**" for each in ahead)
    yield from (best.cell(best.fastest()), best.cell(best.smallest()), preset.cell(preset.fastest()))
    yield from (others.cell(others.fastest()), others.cell(others.smallest()))


def _file(name: str) -> str:
    return name.removeprefix(f"{SEARCH}.").removeprefix(f"{SEARCH}-").removeprefix(f"{PRESET}-")


def _head(columns: tuple[str, ...]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
