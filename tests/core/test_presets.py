"""What a preset comes to, by what is known of the model, the data and the outputs."""

import pytest

from app.core.facts import LayerFacts, ModelFacts
from app.core.job_options import JobOptions
from app.core.measurements import OutputFormat
from app.core.recipes.presets import PresetName
from app.core.recipes.recipe import Recipe
from app.core.wanted_files import wanted_files

CONVOLUTIONAL = (("Conv2d", 100_000), ("Conv2d", 100_000), ("Linear", 1_000))


def facts_of(*layers: tuple[str, int], kept_forward: bool = False) -> ModelFacts:
    """Layers of so many weights; convolutions use each at many places."""
    made = tuple(
        LayerFacts(
            name=f"layer{number}",
            type=kind,
            parameters=weights,
            macs=weights * (64 if kind.startswith("Conv") else 1),
            output_shape=(1, 10, 8, 8) if kind.startswith("Conv") else (1, 10),
        )
        for number, (kind, weights) in enumerate(layers)
    )
    sums = {"parameters": sum(each.parameters for each in made), "macs": sum(each.macs or 0 for each in made)}
    if kept_forward:
        return ModelFacts(**sums, layers=made, editable="partly", outputs=("torchscript",))
    return ModelFacts(**sums, layers=made, editable="whole")


def large(*kinds: str) -> ModelFacts:
    return facts_of(*((kind, 200 if "Norm" in kind else 100_000) for kind in kinds))


def taken(preset: PresetName, facts: ModelFacts, *outputs: OutputFormat, has_data: bool = False) -> list[str]:
    steps = Recipe(preset=preset).resolved(facts, outputs, has_data=has_data)
    return [step.technique for step in steps]


def warned(preset: PresetName, facts: ModelFacts, *outputs: str, has_data: bool = False) -> tuple[str, ...]:
    options = JobOptions.model_validate({"recipe": {"preset": preset}, "outputs": list(outputs)})
    return wanted_files(options, facts, has_data=has_data).warnings


@pytest.mark.parametrize(
    ("preset", "layers", "outputs", "technique"),
    [
        ("small", ["Conv2d", "Linear"], ["onnx"], "static_quantization"),
        ("small", ["LSTM", "Linear"], ["onnx"], "dynamic_quantization"),
        ("small", ["Embedding", "LayerNorm", "Linear"], ["onnx"], "static_quantization"),
        ("fast", ["Embedding", "LayerNorm", "Linear"], ["onnx"], "dynamic_quantization"),
        ("small", ["Conv2d", "Linear"], ["onnx", "torchscript"], "static_quantization"),
    ],
)
def test_with_data_it_is_what_does_the_layers_good(
    preset: PresetName, layers: list[str], outputs: list[OutputFormat], technique: str
) -> None:
    assert taken(preset, large(*layers), *outputs, has_data=True) == [technique]


@pytest.mark.parametrize("layers", [["Linear", "Linear"], ["Embedding", "LSTM", "Linear"]])
@pytest.mark.parametrize("preset", ["small", "fast"])
def test_without_data_int8_is_computed_in_where_it_is_most_of_the_network(
    preset: PresetName, layers: list[str]
) -> None:
    assert taken(preset, large(*layers), "onnx") == ["dynamic_quantization"]


@pytest.mark.parametrize("preset", ["small", "fast"])
@pytest.mark.parametrize("facts", [facts_of(*CONVOLUTIONAL), large("Conv2d")], ids=["and a linear layer", "alone"])
def test_convolutions_without_data_are_stored_in_int8(preset: PresetName, facts: ModelFacts) -> None:
    """Dynamic int8 would round the last layer alone: a file as large as before, and slower."""
    assert taken(preset, facts, "onnx") == ["weight_quantization"]


@pytest.mark.parametrize("has_data", [True, False])
def test_a_state_dict_becomes_small(has_data: bool) -> None:
    assert taken("small", large("Conv2d", "Linear"), "state_dict", has_data=has_data) == ["weight_quantization"]
    assert taken("small", large("Conv2d"), "onnx", "state_dict", has_data=has_data) == ["weight_quantization"]


def test_recurrent_layers_are_cast_where_there_are_no_integers_for_them() -> None:
    assert taken("small", large("LSTM"), "openvino") == ["float_casting"]


def test_a_model_that_keeps_its_forward_becomes_small() -> None:
    assert taken("small", facts_of(*CONVOLUTIONAL, kept_forward=True), "torchscript") == ["weight_quantization"]


@pytest.mark.parametrize("has_data", [True, False])
def test_where_nothing_makes_a_call_faster_that_is_said_with_its_reasons(has_data: bool) -> None:
    facts = facts_of(*CONVOLUTIONAL, kept_forward=True)
    assert taken("fast", facts, "torchscript", has_data=has_data) == []
    (warning,) = warned("fast", facts, "torchscript", has_data=has_data)
    assert warning.startswith("Nothing was compressed: the preset fast has nothing that fits")
    assert "static_quantization: it needs a network that can be edited as a whole" in warning
    assert "in torchscript weights are unpacked in each call" in warning
    assert "`small`" in warning


def test_a_format_that_holds_floats_alone_is_named() -> None:
    facts = large("Conv2d", "Linear")
    assert taken("small", facts, "exported_program") == []
    (warning,) = warned("small", facts, "exported_program")
    assert "float_casting: exported_program can't hold it" in warning
    assert "Ask for other outputs" in warning


def test_so_small_a_network_that_scales_outweigh_its_bits_is_only_cast() -> None:
    assert taken("small", facts_of(("Linear", 40)), "onnx", has_data=True) == ["float_casting"]
    assert warned("fast", facts_of(("Linear", 40)), "onnx", has_data=True)


@pytest.mark.parametrize("outputs", [["onnx"], ["auto"]])
def test_what_compresses_or_is_not_to_is_no_reason_to_warn(outputs: list[str]) -> None:
    facts = large("Conv2d", "Linear")
    assert warned("safe", facts, *outputs) == warned("small", facts, *outputs) == ()
    assert warned("fast", facts_of(("Linear", 40)), "auto") == ()
