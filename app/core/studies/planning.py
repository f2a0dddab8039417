"""From what is asked to the jobs that it takes: each recipe once for each seed, and the controls after them."""

from collections.abc import Iterator, Sequence

from app.core.errors import FieldError, Invalid
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema
from app.core.studies.controls import controls_of
from app.core.studies.requests import MOST_JOBS, StudyRequest


class PlannedJob(Schema):
    """`written` is the position of the recipe in the request that it comes from; None of a trial of a search."""

    recipe: Recipe
    seed: int
    control: bool = False
    written: int | None = 0


def planned_jobs(request: StudyRequest) -> tuple[PlannedJob, ...]:
    """Raises `Invalid` where they are too many."""
    points = list(_points(request))
    controls = list(_controls(points)) if request.controls else []
    jobs = tuple(each.model_copy(update={"seed": seed}) for each in (*points, *controls) for seed in request.seeds)
    if len(jobs) > MOST_JOBS:
        raise _too_many(len(points), len(controls), len(request.seeds))
    return jobs


def _points(request: StudyRequest) -> Iterator[PlannedJob]:
    known: list[Recipe] = []
    for position, varied in enumerate(request.recipes or ()):
        for recipe in varied.points:
            if recipe not in known:
                known.append(recipe)
                yield PlannedJob(recipe=recipe, seed=0, written=position)


def _controls(points: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """None that is asked for anyway, and none twice."""
    known = [point.recipe for point in points]
    for point in points:
        for recipe in controls_of(point.recipe):
            if recipe not in known:
                known.append(recipe)
                yield PlannedJob(recipe=recipe, seed=0, control=True, written=point.written)


def _too_many(points: int, controls: int, seeds: int) -> Invalid:
    count = (points + controls) * seeds
    return Invalid(
        f"The study would run {count} jobs ({points} points and {controls} controls, each with {seeds} seeds), and at "
        f"most {MOST_JOBS} are run. Give fewer values in the recipes' lists or fewer seeds, leave the controls out "
        'with `"controls": false`, or send several studies.',
        code="too_many_jobs",
        title="The study is too large",
        errors=[FieldError(where="recipes", message=f"stand for {count} jobs, of at most {MOST_JOBS}")],
    )
