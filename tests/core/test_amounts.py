"""A recipe shows how much goes, also where that was left to the default."""

import pytest

from app.core.recipes import TECHNIQUES

AMOUNTS = {
    "magnitude_pruning": ("sparsity", 0.5, {"threshold": 0.1}),
    "structured_pruning": ("ratio", 0.5, {"target": {"macs": 10}}),
    "layer_pruning": ("ratio", 0.25, {"count": 2}),
    "low_rank_factorization": ("ratio", 0.5, {"rank": 4}),
}


@pytest.mark.parametrize("technique", AMOUNTS)
def test_an_amount_that_is_not_given_is_the_default(technique: str) -> None:
    field, default, other = AMOUNTS[technique]
    step = TECHNIQUES[technique]
    assert step.model_json_schema()["properties"][field]["default"] == default
    for nothing in ({}, {field: None}):
        assert step.model_validate(nothing).model_dump()[field] == default
    assert step.model_validate(other).model_dump()[field] is None


@pytest.mark.parametrize("technique", AMOUNTS)
def test_one_amount_alone_is_taken(technique: str) -> None:
    field, default, other = AMOUNTS[technique]
    with pytest.raises(ValueError, match=f"give one of `{field}`"):
        TECHNIQUES[technique].model_validate({field: default, **other})
