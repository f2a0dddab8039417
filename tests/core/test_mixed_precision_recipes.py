import pytest
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.recipes import MixedPrecision
from app.core.recipes.recipe import check_data, check_outputs


@pytest.mark.parametrize(
    "fields",
    [
        {"budget": {}},
        {"budget": {"max_quality_drop": 0.01, "size_bytes": 1000}},
        {"budget": {"max_quality_drop": -0.1}},
        {"budget": {"size_bytes": 0}},
        {"bits": []},
        {"bits": [4, 4]},
        {"bits": [5]},
        {"method": "gptq"},
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MixedPrecision.model_validate(fields)


def test_a_budget_of_quality_needs_data() -> None:
    with pytest.raises(Invalid) as refused:
        check_data((MixedPrecision(),), None, {})
    assert refused.value.code == "dataset_required"
    check_data((MixedPrecision.model_validate({"budget": {"size_bytes": 1000}}),), None, {})


def test_formats_that_hold_no_packed_weights_are_refused() -> None:
    with pytest.raises(Invalid) as refused:
        check_outputs((MixedPrecision(),), ("exported_program",))
    assert refused.value.code == "output_unavailable"
