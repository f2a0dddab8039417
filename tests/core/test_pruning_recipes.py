"""What a recipe that prunes single weights may ask for, known before anything runs."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.recipes import MagnitudePruning
from app.core.recipes.pruning import FROM_DATA
from app.core.recipes.recipe import check_data
from app.core.recipes.schedules import Schedule


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sparsity": 0.5, "threshold": 0.1}, "give one of"),
        ({"sparsity": 0.5, "target_size_bytes": 1000}, "give one of"),
        ({"criterion": "random", "threshold": 0.1}, "`random` has none"),
        ({"pattern": "2:4", "sparsity": 0.7}, "removes half"),
        ({"pattern": "4:8", "threshold": 0.1}, "removes half"),
        ({"pattern": "2:4", "target_size_bytes": 1000}, "removes half"),
        ({"pattern": "block", "block": [0, 4]}, "greater than or equal to 1"),
        ({"schedule": {"kind": "one_shot", "rounds": 3}}, "choose `linear` or `cubic`"),
        ({"sparsity": 1.0}, "less than 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MagnitudePruning.model_validate(fields)


def test_half_may_be_said_of_a_pattern_that_removes_half() -> None:
    assert MagnitudePruning(pattern="2:4", sparsity=0.5).amount == 0.5


@pytest.mark.parametrize(
    "step",
    [*(MagnitudePruning(criterion=criterion) for criterion in sorted(FROM_DATA)),
     MagnitudePruning(schedule=Schedule(epochs=1))],
    ids=lambda step: step.criterion,
)  # fmt: skip
def test_what_learns_from_data_is_refused_without(step: MagnitudePruning) -> None:
    with pytest.raises(Invalid) as caught:
        check_data([step], None, {})
    assert caught.value.code == "dataset_required"
    check_data([step], "unlabelled", {})


@pytest.mark.parametrize("criterion", ["l1", "l2", "random", "lsh"])
def test_what_looks_at_weights_alone_needs_no_data(criterion: str) -> None:
    check_data([MagnitudePruning.model_validate({"criterion": criterion})], None, {})


def test_schedules_end_with_the_whole_amount() -> None:
    assert Schedule().parts == (1.0,)
    assert Schedule(kind="linear", rounds=4).parts == (0.25, 0.5, 0.75, 1.0)
    assert Schedule(kind="cubic", rounds=2).parts == (0.875, 1.0)
