"""What is tried next: what is known to work in general, the best networks so far in other precisions, and then what
the sampler draws.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from worker.search.sampling import Drawn, Trial, draw, recipe_of
from worker.search.space import AS_IT_IS, SOLVED, Choices, Space

# Criterion and ratio of each layer; half of the units are about a quarter of the work.
_LADDER = ((SOLVED, 0.65), ("taylor", 0.5), ("taylor", 0.75), (SOLVED, 0.8), ("taylor", 0.85), (SOLVED, 0.5))
_LADDER_ENDS = ((SOLVED, 0.9), (SOLVED, 0.95), ("taylor", 0.3))
# Where a sensitivity analysis has told how.
_BY_SENSITIVITY = (0.8, 0.9)
# So many come before the best of them is tried in other precisions.
BEFORE_OTHER_PRECISIONS = 3


def suggestions(space: Space, trials: Sequence[Trial], seed: int) -> Iterator[Drawn]:
    """The same ones for the same trials and seed; some may have been tried before."""
    known = list(known_to_work(space))
    certain = chain(known[:BEFORE_OTHER_PRECISIONS], other_precisions(space, trials), known[BEFORE_OTHER_PRECISIONS:])
    yield from (Drawn(choices, recipe_of(space, choices)) for choices in certain)
    yield from draw(space, trials, seed)


def known_to_work(space: Space) -> Iterator[Choices]:
    """Pruning with training, from a quarter of the work to a fiftieth, and between them the upload in other
    precisions."""
    ladder = list(_ladder(space))
    precisions = list(_in_other_precisions(space, AS_IT_IS))
    for number in range(max(len(ladder), len(precisions))):
        yield from ladder[number : number + 1]
        yield from precisions[number : number + 1]


def _ladder(space: Space) -> Iterator[Choices]:
    if not space.has_pruning("structured"):
        return
    criteria = space.criteria()
    by_sensitivity = "sensitivity" in space.scopes()
    for criterion, ratio in (*_LADDER, *_LADDER_ENDS):
        yield {
            "prune": "structured",
            "structured_ratio": ratio,
            "criterion": criterion if criterion in criteria else criteria[0],
            "scope": "sensitivity" if by_sensitivity and ratio in _BY_SENSITIVITY else "layer",
            "recover": space.recoveries()[0],
            "learning_rate": 2e-3,
            "epochs": space.most_epochs(),
            "augmentation": space.augmentations()[-1],
            "precision": "float32",
        }


def other_precisions(space: Space, trials: Sequence[Trial]) -> Iterator[Choices]:
    """Of the best networks that were pruned, and that keep to the budget: they are trained already."""
    networks = [trial for trial in trials if trial.is_kept and trial.choices["prune"] != "none"]
    floats = [trial for trial in networks if trial.choices["precision"] == AS_IT_IS["precision"]]
    for objective in range(2) if floats else ():
        best = min(floats, key=lambda trial: _value(trial, objective))
        yield from _in_other_precisions(space, best.choices)


def _value(trial: Trial, objective: int) -> float:
    return float("inf") if trial.values is None else trial.values[objective]


def _in_other_precisions(space: Space, choices: Choices) -> Iterator[Choices]:
    for precision in space.precisions():
        if precision != choices["precision"]:
            yield {**choices, "precision": precision}
