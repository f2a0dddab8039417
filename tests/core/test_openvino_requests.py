"""What is refused of `openvino` before a job is queued: workers may lack it, and NNCF doesn't round in every way."""

import pytest
from pydantic import TypeAdapter

from app.core.errors import Invalid
from app.core.facts import EVERY_FORMAT
from app.core.recipes import Step
from app.core.recipes.recipe import check_editable, check_outputs
from tests.core.test_submissions import facts_with

STEP: TypeAdapter[Step] = TypeAdapter(Step)
FACTS = facts_with("Conv2d", "Linear")


def held(**step: object) -> bool:
    try:
        check_outputs([STEP.validate_python(step)], ("openvino",))
    except Invalid as refused:
        return refused.code != "output_unavailable"
    return True


@pytest.mark.parametrize("calibration", ["min_max", "moving_average", "percentile", "mse"])
def test_ranges_that_nncf_knows_are_taken(calibration: str) -> None:
    assert held(technique="static_quantization", calibration=calibration, smooth=True, bias_correction=True)


@pytest.mark.parametrize(
    "field",
    [
        {"calibration": "entropy"},
        {"scheme": "s8s8"},
        {"rounding": "adaround"},
        {"equalize": True},
        {"keep_float": "auto"},
        {"keep_float": "first"},
    ],
)
def test_what_nncf_does_not_know_is_refused(field: dict) -> None:
    assert not held(technique="static_quantization", **field)


def test_weights_are_held_as_integers_of_8_and_4_bits() -> None:
    assert [bits for bits in (8, 4, 3, 2, 1) if held(technique="weight_quantization", bits=bits)] == [8, 4]
    assert held(technique="weight_quantization", method="symmetric")
    assert not held(technique="weight_quantization", method="kmeans", bits=4)
    assert held(technique="float_casting")
    assert not held(technique="dynamic_quantization")


def test_a_worker_without_it_is_named_with_what_to_install() -> None:
    check_editable(FACTS.model_copy(update={"outputs": EVERY_FORMAT}), ("openvino",))
    with pytest.raises(Invalid, match=r"pip install 'modelpress\[openvino\]'") as refused:
        check_editable(FACTS, ("openvino",))
    assert refused.value.code == "output_unavailable"


def test_a_model_that_keeps_its_forward_is_refused_for_that() -> None:
    partly = FACTS.model_copy(update={"editable": "partly", "outputs": ("torchscript",)})
    with pytest.raises(Invalid, match="keeps its own forward") as refused:
        check_editable(partly, ("openvino",))
    assert refused.value.code == "output_unavailable"
