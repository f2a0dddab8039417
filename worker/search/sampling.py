"""The next choices of a search, by a tree-structured Parzen estimator (Bergstra et al., 2011; with constraints:
Watanabe and Hutter, 2023; of several objectives: Ozaki et al., 2022), as Optuna has it: asked and told in memory,
rebuilt each time from what trials came to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core.recipes.recipe import Recipe
from worker.search.choosing import Choices
from worker.search.space import Space

if TYPE_CHECKING:
    import optuna

# At first trials are drawn at random, so that what is known to work in general isn't all that is ever tried.
RANDOM_TRIALS = 8
MOST_DRAWN = 50
Values = tuple[float, float]
# From any budget: of what failed, or couldn't be measured.
_FAR = 1e6


@dataclass(frozen=True)
class Trial:
    """`values` are to be made small, the first one above all; `excess` is above 0 where the budget isn't kept. Both are
    None of a trial that has not ended, or that failed."""

    choices: Choices
    values: Values | None = None
    excess: float | None = None
    failed: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it has ended inside the budget."""
        return self.excess == 0


@dataclass(frozen=True)
class Drawn:
    choices: Choices
    recipe: Recipe


def draw(space: Space, trials: Sequence[Trial], seed: int) -> Iterator[Drawn]:
    """One suggestion after another, the same ones for the same trials and seed; some may have been tried before."""
    study = _rebuilt(space, trials, seed)
    for _ in range(MOST_DRAWN):
        asked = study.ask()
        recipe = space.recipe(asked)
        yield Drawn(asked.params, recipe)


def recipe_of(space: Space, choices: Choices) -> Recipe:
    import optuna

    return space.recipe(optuna.trial.FixedTrial(dict(choices)))


def _rebuilt(space: Space, trials: Sequence[Trial], seed: int) -> "optuna.Study":
    import optuna  # which takes a second, and not every worker searches

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Another seed after each trial: the same one would draw the same random trial again and again.
    sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed * 1000 + len(trials))
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * 2)
    for trial in trials:
        study.enqueue_trial(dict(trial.choices))
        asked = study.ask()
        space.recipe(asked)
        if trial.failed:
            _tell(study, asked, (0.0, 0.0), _FAR)
        elif trial.values is not None and trial.excess is not None:
            _tell(study, asked, trial.values, min(trial.excess, _FAR))
    return study


def _tell(study: "optuna.Study", asked: "optuna.Trial", values: Values, excess: float) -> None:
    asked.set_constraint("budget", excess)
    study.tell(asked, values)
