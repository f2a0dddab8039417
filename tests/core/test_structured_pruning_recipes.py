"""What is refused of a structured pruning before it is queued."""

import pytest
from pydantic import ValidationError

from app.core.facts import LayerFacts, ModelFacts
from app.core.recipes import StructuredPruning


def facts(*layers: str) -> ModelFacts:
    named = [
        LayerFacts(name=f"{kind.lower()}{at}", type=kind, parameters=50, macs=100, output_shape=(1, 5))
        for at, kind in enumerate(layers)
    ]
    return ModelFacts(parameters=50 * len(named), macs=100 * len(named), layers=tuple(named), editable="whole")


@pytest.mark.parametrize(
    "settings",
    [
        {"ratio": 1.0},
        {"ratio": -0.1},
        {"ratio": 0.5, "target": {"macs": 10}},
        {"ratios": {}},
        {"ratios": {"conv1": 1.0}},
        {"target": {}},
        {"target": {"macs": 10, "parameters": 10}},
        {"target": {"parameters": 0}},
        {"round_to": 0},
        {"criterion": "loudness"},
        {"schedule": {"kind": "one_shot", "rounds": 3}},
    ],
)
def test_amounts_that_can_not_be_meant(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StructuredPruning.model_validate(settings)


def test_a_model_without_units_is_told_so() -> None:
    assert "no convolution" in (StructuredPruning.unavailable_because(facts("LayerNorm")) or "")
    assert StructuredPruning.unavailable_because(facts("Linear")) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"unit": "hidden"}, "hidden"),
        ({"unit": "channel"}, "channel"),
        ({"ratios": {"conv*": 0.5}}, "conv*"),
        ({"target": {"parameters": 100}}, "has 100"),
        ({"target": {"macs": 200}}, "has 200"),
    ],
)
def test_what_the_facts_already_rule_out(settings: dict[str, object], reason: str) -> None:
    assert reason in (StructuredPruning.model_validate(settings).unfit_for(facts("Linear", "Linear")) or "")


@pytest.mark.parametrize("settings", [{"criterion": "reconstruction_error"}, {"reconstruction": "least_squares"}])
def test_what_looks_at_data_needs_some(settings: dict[str, object]) -> None:
    step = StructuredPruning.model_validate(settings)
    assert step.must_have_data()
    partly = facts("Linear").model_copy(update={"editable": "partly"})
    assert "as a whole" in (step.unfit_for(partly) or "")


def test_what_the_facts_allow() -> None:
    for settings in ({"unit": "neuron"}, {"ratios": {"linear*": 0.5}}, {"target": {"parameters": 99}}):
        assert StructuredPruning.model_validate(settings).unfit_for(facts("Linear", "Linear")) is None


@pytest.mark.parametrize("criterion", ["taylor", "hessian", "apoz", "mean_activation", "stability"])
def test_criteria_that_look_at_data_need_some(criterion: str) -> None:
    assert StructuredPruning.model_validate({"criterion": criterion}).must_have_data()
    assert not StructuredPruning().must_have_data()
    assert StructuredPruning.model_validate({"schedule": {"epochs": 1}}).must_have_data()
