"""Which formats hold which technique, bit width and type: others are refused before queueing, with those that do."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.core.errors import Invalid
from app.core.facts import EVERY_FORMAT
from app.core.measurements import OutputFormat
from app.core.recipes import TECHNIQUES, Step
from app.core.recipes.recipe import check_outputs

STEP: TypeAdapter[Step] = TypeAdapter(Step)
PACKED = {"onnx", "torchscript", "state_dict"}
COMPUTED = {"onnx", "torchscript"}
METHODS_BY_BITS = {
    "affine": (8, 4, 3, 2, 1),
    "symmetric": (8, 4, 3, 2),
    "estimation": (8, 4, 3, 2, 1),
    "mean_rounding": (8, 4, 3, 2, 1),
    "kmeans": (8, 4, 3, 2, 1),
    "ternary": (2,),
    "binary": (1,),
    "gptq": (8, 4, 3, 2),
    "hqq": (8, 4, 3, 2, 1),
}


def quantizing() -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Each technique with each choice of bits that it has, and the formats that hold it."""
    for method, widths in METHODS_BY_BITS.items():
        for bits in widths:
            integers = {"openvino"} if bits in (8, 4) and method in ("affine", "symmetric") else set()
            yield {"technique": "weight_quantization", "method": method, "bits": bits}, PACKED | integers
    for dtype in ("float16", "bfloat16", "float8_e4m3", "float8_e5m2"):
        yield {"technique": "float_casting", "dtype": dtype}, PACKED | ({"openvino"} if "8" not in dtype else set())
    for bits in ([4, 8], [2, 3]):
        yield {"technique": "mixed_precision", "bits": bits}, PACKED
    yield {"technique": "static_quantization"}, COMPUTED | {"openvino"}
    yield {"technique": "static_quantization", "calibration": "entropy"}, COMPUTED
    yield {"technique": "dynamic_quantization"}, COMPUTED
    yield {"technique": "quantization_aware_training"}, COMPUTED


QUANTIZING = list(quantizing())


@pytest.mark.parametrize(
    ("step", "holding"),
    QUANTIZING,
    ids=lambda each: " ".join(map(str, each.values())) if isinstance(each, dict) else None,
)
@pytest.mark.parametrize("output", EVERY_FORMAT)
def test_a_format_that_cannot_hold_it_is_refused_with_those_that_can(
    step: dict[str, Any], holding: set[str], output: OutputFormat
) -> None:
    chosen = STEP.validate_python(step)
    if output in holding:
        check_outputs([chosen], (output,))
        return
    with pytest.raises(Invalid) as refused:
        check_outputs([chosen], (output,))
    assert refused.value.code == "output_unavailable"
    assert f"can't be held by the format {output}" in refused.value.detail
    _, _, named = refused.value.detail.partition("Ask for one of: ")
    assert set(named.removesuffix(".").split(", ")) == holding


def test_no_technique_that_quantizes_is_missing() -> None:
    listed = {step["technique"] for step, _ in QUANTIZING}
    assert listed == {name for name, each in TECHNIQUES.items() if each.stage == "quantize"}


@pytest.mark.parametrize("technique", [name for name, each in TECHNIQUES.items() if each.stage != "quantize"])
def test_what_leaves_float32_is_held_by_every_format(technique: str) -> None:
    assert TECHNIQUES[technique].formats == EVERY_FORMAT
