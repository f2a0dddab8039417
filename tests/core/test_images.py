import pytest
from pydantic import ValidationError

from app.core.images import ImageTransform


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"size": 5000},
        {"size": (8,)},
        {"mean": (0.5,)},
        {"mean": (0.5, 0.5), "std": (0.5, 0.5)},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (0.0, 0.0, float("nan"))},
        {"crop": 3},
    ],
)
def test_a_transform_that_makes_no_numbers_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImageTransform.model_validate(fields)


def test_one_number_stands_for_both_sides() -> None:
    assert ImageTransform(size=8).height_and_width == (8, 8)
    assert ImageTransform(size=(6, 4)).height_and_width == (6, 4)
    assert ImageTransform().height_and_width is None
