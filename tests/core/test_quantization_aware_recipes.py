import pytest
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.facts import ArrayFacts, LayerFacts, ModelFacts
from app.core.recipes import QuantizationAwareTraining
from app.core.recipes.recipe import check_data, check_facts, check_outputs

VECTORS = {"x_train": ArrayFacts(shape=(9, 20), dtype="float32")}


def facts(*types: str) -> ModelFacts:
    layers = tuple(LayerFacts(name=kind, type=kind, parameters=4, macs=None, output_shape=None) for kind in types)
    return ModelFacts(parameters=4, macs=None, layers=layers, editable="whole")


def test_fields_have_the_defaults_that_are_promised() -> None:
    step = QuantizationAwareTraining()
    assert (step.epochs, step.learning_rate, step.labels, step.stage, step.formats) == (
        3,
        1e-4,
        "auto",
        "quantize",
        ("onnx", "torchscript"),
    )


def test_labels_are_needed_where_they_are_asked_for_alone() -> None:
    for labels in ("auto", "none"):
        check_data((QuantizationAwareTraining(labels=labels),), "unlabelled", VECTORS)
    with pytest.raises(Invalid) as caught:
        check_data((QuantizationAwareTraining(labels="true"),), "unlabelled", VECTORS)
    assert caught.value.code == "labels_required"


def test_learned_ranges_are_held_by_onnx_alone() -> None:
    step = QuantizationAwareTraining(ranges="learned")
    check_outputs((step,), ("onnx",))
    with pytest.raises(Invalid, match="Ask for one of: onnx") as caught:
        check_outputs((step,), ("torchscript",))
    assert caught.value.code == "output_unavailable"


def test_data_are_needed() -> None:
    with pytest.raises(Invalid) as caught:
        check_data((QuantizationAwareTraining(),), None, {})
    assert caught.value.code == "dataset_required"


def test_a_network_of_recurrent_layers_alone_is_refused() -> None:
    check_facts((QuantizationAwareTraining(),), facts("LSTM", "Linear"))
    with pytest.raises(Invalid, match="no convolution and no linear layer"):
        check_facts((QuantizationAwareTraining(),), facts("LSTM"))


@pytest.mark.parametrize("fields", [{"labels": "teacher"}, {"calibration": "learned"}, {"start": "scratch"}])
def test_what_can_not_be_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuantizationAwareTraining(**fields)
