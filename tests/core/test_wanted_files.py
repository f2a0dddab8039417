"""What `"outputs": ["auto"]` tries, and which file it calls the best."""

import pytest
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.facts import EVERY_FORMAT, ModelFacts
from app.core.job_options import JobOptions
from app.core.wanted_files import wanted_files
from tests.core.measured_files import MeasuredJob, quality
from tests.core.test_submissions import facts_with

PRUNE, STATIC = {"technique": "magnitude_pruning"}, {"technique": "static_quantization"}
CONVOLUTIONS = facts_with("Conv2d", "Linear")


def wanted(recipe: object, facts: ModelFacts = CONVOLUTIONS, *, has_data: bool = True) -> list[str]:
    options = JobOptions.model_validate({"recipe": recipe, "outputs": ["auto"]})
    found = wanted_files(options, facts, has_data=has_data)
    return [f"{candidate.precision}.{candidate.output}" for candidate in found.candidates]


def test_every_runtime_and_precision_that_fits_is_tried() -> None:
    assert wanted({"steps": [PRUNE]}) == [
        "float32.onnx",
        "float16.onnx",
        "int8-static.onnx",
        "int8-static-first.onnx",
        "int8-dynamic.onnx",
        "int8-dynamic-tensor.onnx",
        "int8-weights.onnx",
        "int4-weights.onnx",
        "float32.torchscript",
        "float16.torchscript",
        "bfloat16.torchscript",
        "int8-static.torchscript",
        "int8-dynamic.torchscript",
        "int8-weights.torchscript",
    ]


def test_a_first_layer_in_float_is_tried_of_what_reads_pictures() -> None:
    def beginning_with(kind: str, parameters: int) -> list[str]:
        first = CONVOLUTIONS.layers[0].model_copy(
            update={"type": kind, "parameters": parameters, "macs": 64 * parameters, "output_shape": (1, 16, 8, 8)}
        )
        return wanted({"steps": [PRUNE]}, CONVOLUTIONS.model_copy(update={"layers": (first, *CONVOLUTIONS.layers)}))

    pictures, maps = beginning_with("Conv2d", 16 * 3 * 9), beginning_with("Conv2d", 16 * 64 * 9)
    assert set(pictures) - set(maps) == {"int8-static-first.onnx"}
    assert "int8-static-first.onnx" not in beginning_with("Linear", 16 * 3 * 9)


def test_sensitive_layers_in_float_are_tried_of_what_has_thin_filters() -> None:
    """A convolution for each channel by itself has nine weights for each of its outputs."""

    def with_filters_of(weights: int) -> set[str]:
        layer = CONVOLUTIONS.layers[0].model_copy(
            update={"name": "thin", "parameters": 16 * weights, "macs": 1024 * weights, "output_shape": (1, 16, 8, 8)}
        )
        return set(
            wanted({"steps": [PRUNE]}, CONVOLUTIONS.model_copy(update={"layers": (*CONVOLUTIONS.layers, layer)}))
        )

    assert with_filters_of(9) - with_filters_of(16 * 9) == {"int8-static-careful.onnx"}


def test_two_bits_are_tried_of_linear_layers_that_caches_do_not_hold() -> None:
    def with_weights(number: int) -> set[str]:
        layer = CONVOLUTIONS.layers[1].model_copy(update={"parameters": number, "macs": number})
        return set(wanted({"steps": [PRUNE]}, CONVOLUTIONS.model_copy(update={"layers": (layer,)})))

    assert with_weights(16_000_000) - with_weights(1_000_000) == {"int2-weights.onnx"}


def test_openvino_is_tried_where_the_worker_can_write_it() -> None:
    facts = CONVOLUTIONS.model_copy(update={"outputs": EVERY_FORMAT})
    beyond = set(wanted({"steps": [PRUNE]}, facts)) - set(wanted({"steps": [PRUNE]}))
    assert beyond == {"float16.openvino", "bfloat16.openvino", "int8-static.openvino", "int8-weights.openvino"}


def test_without_data_nothing_is_calibrated() -> None:
    assert "int8-static.onnx" not in wanted({"steps": [PRUNE]}, has_data=False)


def test_a_precision_that_does_nothing_for_the_model_is_not_tried() -> None:
    assert "int8-dynamic.onnx" not in wanted({"steps": [PRUNE]}, facts_with("Conv2d"))


def test_a_preset_leaves_the_precision_to_auto() -> None:
    assert wanted({"preset": "fast"}) == wanted({"steps": [PRUNE]})


def test_a_recipe_that_quantizes_has_chosen() -> None:
    options = JobOptions.model_validate({"recipe": {"steps": [PRUNE, STATIC]}, "outputs": ["auto"]})
    found = wanted_files(options, CONVOLUTIONS, has_data=True)
    assert (found.outputs, found.candidates) == (("onnx", "torchscript"), ())


def test_a_model_that_is_written_in_one_format_only_gets_that() -> None:
    facts = CONVOLUTIONS.model_copy(update={"outputs": ("torchscript",)})
    assert {name.partition(".")[2] for name in wanted({"steps": [PRUNE]}, facts)} == {"torchscript"}


def test_a_recipe_that_no_format_holds_is_refused() -> None:
    options = JobOptions.model_validate({"recipe": {"steps": [STATIC]}, "outputs": ["auto"]})
    with pytest.raises(Invalid) as caught:
        wanted_files(options, CONVOLUTIONS.model_copy(update={"outputs": ("state_dict",)}), has_data=True)
    assert caught.value.code == "output_unavailable"


def test_auto_stands_alone() -> None:
    with pytest.raises(ValidationError, match="stands alone"):
        JobOptions.model_validate({"recipe": {"preset": "safe"}, "outputs": ["auto", "onnx"]})


def tried(**accuracies: float) -> MeasuredJob:
    """int8 is twice as fast as float32, and a quarter of its size."""
    job = (
        MeasuredJob()
        .add("upload", "upload", milliseconds=2.0, size_bytes=4_000_000, format="torchscript")
        .add("uncompressed.onnx", "uncompressed", milliseconds=1.0, size_bytes=4_000_000)
    )
    for number, (precision, accuracy) in enumerate(accuracies.items()):
        job.add(
            f"model.{precision}.onnx",
            "artifact",
            milliseconds=1.0 / (1 + number),
            size_bytes=4_000_000 // (1 + 3 * number),
            quantized=number > 0,
            precision=precision,
            judged=quality(accuracy),
        )
    return job


@pytest.mark.parametrize("minimize", ["latency", "size"])
def test_the_best_is_the_fastest_or_smallest_that_keeps_its_quality(minimize: str) -> None:
    result = tried(float32=0.97, int8=0.965, int4=0.5).result(minimize)
    assert result.best == "model.int8.onnx"
    assert len(result.artifacts) == 3
    assert any("model.int4.onnx was passed over" in warning and "50.0 %" in warning for warning in result.warnings)


def test_what_the_runtime_alone_gives_is_told_apart() -> None:
    speedup = tried(float32=0.97, int8=0.97).result().comparison.speedup
    assert speedup is not None
    assert speedup.runtime_only == pytest.approx(2.0, rel=0.1)
    assert speedup.compression_only == pytest.approx(2.0, rel=0.1)
