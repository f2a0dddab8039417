"""Training examples that are held back to judge by. The test examples are never among them."""

from dataclasses import dataclass

import numpy as np

from app.core.errors import Invalid
from worker.data import Examples

SPLIT_SEED = 1
FEWEST_EXAMPLES = 2  # of one, a batch norm has no variance


@dataclass(frozen=True)
class Split:
    """`seen` are some of `training`, as many as `validation` holds: what training makes of them tells overfitting."""

    training: Examples
    validation: Examples
    seen: Examples


def split(examples: Examples, fraction: float, most: int) -> Split:
    """The same split for every step of a recipe: else weights would be judged by what an earlier step learned.

    `most` bounds the number of examples to judge by.
    """
    order = _order(examples)
    count = min(round(fraction * len(examples)), most)
    validation, training = np.sort(order[:count]), np.sort(order[count:])
    if len(training) < FEWEST_EXAMPLES:
        raise Invalid(
            f"The data set has {len(examples)} training examples, and training needs at least {FEWEST_EXAMPLES}. "
            "Upload more of them, or leave the step out.",
            code="too_few_examples",
            title="There are too few examples to train on",
        )
    seen = np.sort(order[count : 2 * count])
    return Split(examples.at(training), examples.at(validation), examples.at(seen))


def held_back(examples: Examples, count: int) -> Examples:
    """The `count` examples that every split holds back first."""
    return examples.at(np.sort(_order(examples)[:count]))


def _order(examples: Examples) -> np.ndarray:
    return np.random.default_rng(SPLIT_SEED).permutation(len(examples))
