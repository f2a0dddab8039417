"""What pruning is compared with. Random pruning beats several published criteria (Blalock et al., 2020), so that a
criterion shows its worth only beside it.
"""

from collections.abc import Iterator
from typing import get_args

from app.core.recipes import StepBase
from app.core.recipes.base import Control
from app.core.recipes.recipe import Recipe


def controls_of(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe with all its pruning at random, and with all of it by plain magnitude, in one go; every other step is
    as it was."""
    for control in get_args(Control):
        replaced = [step.as_control(control) for step in recipe.steps or ()]
        if any(replaced) and not _leaves_one_out(recipe, replaced):
            steps = [new or step for new, step in zip(replaced, recipe.steps or (), strict=True)]
            yield Recipe(steps=tuple(steps))


def _leaves_one_out(recipe: Recipe, replaced: list[StepBase | None]) -> bool:
    """Whether a step that prunes has no control."""
    return any(step.stage == "prune" and not new for new, step in zip(replaced, recipe.steps or (), strict=True))
