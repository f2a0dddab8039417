"""What a budget allows, and by how much something breaks it."""

import pytest
from pydantic import ValidationError

from app.core.budgets import Budget, Cost, drop_interval, drop_of


def test_what_breaks_a_bound_is_named_with_what_it_would_take() -> None:
    budget = Budget(max_quality_drop=0.01, max_size_bytes=100, max_latency_ms=2.0)
    assert budget.needed_by(Cost(100, 2.0, 0.01)) == {}
    assert budget.needed_by(Cost(150, 1.0, 0.03)) == {"max_quality_drop": 0.03, "max_size_bytes": 150}
    assert budget.excess(Cost(150, 1.0, 0.03)) == pytest.approx(0.52)
    assert budget.excess(Cost(1, 1.0, -1.0)) == 0


def test_what_is_not_known_breaks_its_bound() -> None:
    assert Budget(max_quality_drop=1).excess(Cost(1, 1.0, None)) == float("inf")
    assert Budget(max_size_bytes=1).excess(Cost(1, None, None)) == 0


@pytest.mark.parametrize(
    "given", [{}, {"max_quality_drop": None}, {"max_quality_drop": -0.01}, {"max_size_bytes": 0}, {"max_latency_ms": 0}]
)
def test_one_without_a_bound_and_impossible_bounds_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(given)


def test_an_error_that_rises_is_a_drop() -> None:
    assert drop_of("accuracy", -0.02) == 0.02
    assert drop_of("mean_squared_error", 0.02) == 0.02
    assert drop_interval("accuracy", (-0.02, 0.01)) == (-0.01, 0.02)
    assert drop_interval("mean_squared_error", (-0.02, 0.01)) == (-0.02, 0.01)
