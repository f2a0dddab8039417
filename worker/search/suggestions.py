"""What is tried next: what is known to work in general, the best networks so far in other precisions, and then what
the sampler draws.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from worker.search.choosing import Choices
from worker.search.precisions import TUNED
from worker.search.sampling import Drawn, Trial, draw, recipe_of
from worker.search.space import AS_IT_IS, LONGER, SHALLOW_AND_THIN, SOLVED, Space

# Criterion and ratio of each layer; half of the units are about a quarter of the work.
_LADDER = ((SOLVED, 0.65), ("taylor", 0.5), ("taylor", 0.75), (SOLVED, 0.8), ("taylor", 0.85), (SOLVED, 0.5))
_LADDER_ENDS = ((SOLVED, 0.9), (SOLVED, 0.95), ("taylor", 0.3))
# Of the blocks, and of the units of those that stay: what is short answers sooner than what is thin.
_SHALLOW = ((0.4, 0.3), (0.4, 0.5))
# Where a sensitivity analysis has told how.
_BY_SENSITIVITY = (0.8, 0.9)
MOST_TRAINED_LONGER = 3
# So many come before the best of them is tried in other precisions.
BEFORE_OTHER_PRECISIONS = 3


def suggestions(space: Space, trials: Sequence[Trial], seed: int) -> Iterator[Drawn]:
    """The same ones for the same trials and seed; some may have been tried before."""
    known = [choices for choices in known_to_work(space) if not is_lost(space, choices, trials)]
    certain = chain(
        known[:BEFORE_OTHER_PRECISIONS],
        other_precisions(space, trials),
        known[BEFORE_OTHER_PRECISIONS:],
        trained_longer(space, trials),
    )
    yield from (Drawn(choices, recipe_of(space, choices)) for choices in certain)
    yield from draw(space, trials, seed)


def known_to_work(space: Space) -> Iterator[Choices]:
    """Pruning with training, from a quarter of the work to a fiftieth, and between them the upload in other
    precisions."""
    ladder = list(chain(_ladder(space, _LADDER), _shallow(space), _ladder(space, _LADDER_ENDS)))
    precisions = list(_in_other_precisions(space, AS_IT_IS))
    for number in range(max(len(ladder), len(precisions))):
        yield from ladder[number : number + 1]
        yield from precisions[number : number + 1]


def is_lost(space: Space, choices: Choices, trials: Sequence[Trial]) -> bool:
    """Whether what takes less away, trained as long, is far outside the budget."""
    if choices["prune"] == AS_IT_IS["prune"] or set(space.search.budget.bounds) != {"max_quality_drop"}:
        return False
    far_off = (trial.choices for trial in trials if trial.excess is not None and trial.excess > space.far_off)
    return any(_is_milder(other, choices) for other in far_off if other["prune"] == choices["prune"])


def _is_milder(one: Choices, other: Choices) -> bool:
    amounts = [name for name in other if name.endswith("_ratio")]
    return one.get("epochs", 0) >= other.get("epochs", 0) and all(one[name] <= other[name] for name in amounts)


def _ladder(space: Space, steps: Sequence[tuple[str, float]]) -> Iterator[Choices]:
    by_sensitivity = "sensitivity" in space.scopes()
    for criterion, ratio in steps if space.has_pruning("structured") else ():
        yield {
            "prune": "structured",
            "scope": "sensitivity" if by_sensitivity and ratio in _BY_SENSITIVITY else "layer",
            **_trained(space, criterion, ratio),
        }


def _shallow(space: Space) -> Iterator[Choices]:
    for of_blocks, ratio in _SHALLOW if space.has_pruning(SHALLOW_AND_THIN) else ():
        yield {"prune": SHALLOW_AND_THIN, "layers_ratio": of_blocks, **_trained(space, "taylor", ratio)}


def _trained(space: Space, criterion: str, ratio: float) -> Choices:
    criteria = space.criteria()
    return {
        "structured_ratio": ratio,
        "criterion": criterion if criterion in criteria else criteria[0],
        "recover": space.recoveries()[0],
        "learning_rate": 2e-3,
        "epochs": space.most_epochs(),
        "augmentation": space.augmentations()[-1],
        "precision": "float32",
    }


def trained_longer(space: Space, trials: Sequence[Trial]) -> Iterator[Choices]:
    """What nearly keeps to the budget and costs less than all that do, the nearest first; then the best that does."""
    brief = [t for t in trials if t.values is not None and t.choices.get("epochs", 0) <= space.most_epochs()]
    best = sorted((t for t in brief if t.is_kept), key=lambda trial: _value(trial, 0))[:1]
    cheaper = [t for t in brief if not best or _value(t, 0) < _value(best[0], 0)]
    near = [t for t in cheaper if t.excess is not None and 0 < t.excess <= space.nearly]
    for trial in (*sorted(near, key=lambda each: each.excess or 0.0)[:MOST_TRAINED_LONGER], *best):
        yield {**trial.choices, "epochs": LONGER * space.most_epochs()}


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
        if precision not in (choices["precision"], TUNED):
            yield {**choices, "precision": precision}
