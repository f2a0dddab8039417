"""What a job is to write: the formats it asks for or, with `"outputs": ["auto"]`, every runtime and precision that
fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import Invalid
from app.core.expected import ExpectedLayer
from app.core.facts import ModelFacts
from app.core.job_options import AUTO, JobOptions
from app.core.measurements import OutputFormat
from app.core.recipes import (
    TECHNIQUES,
    DynamicQuantization,
    FloatCasting,
    StaticQuantization,
    Step,
    WeightQuantization,
)
from app.core.tasks import Candidate

SUFFIXES: dict[OutputFormat, str] = {
    "onnx": ".onnx",
    "torchscript": ".torchscript.pt",
    "state_dict": ".safetensors",
    "exported_program": ".pt2",
    "openvino": ".openvino.zip",
}
RUNTIMES: tuple[OutputFormat, ...] = ("onnx", "torchscript", "openvino")
_FIRST, CAREFUL, TWO_BITS = "int8-static-first", "int8-static-careful", "int2-weights"
# For each output of a convolution over seven by seven points and four colours.
_FEW_WEIGHTS = 4 * 7 * 7
_MORE_THAN_CACHES = 1 << 23
# Five by five points of one channel.
_THIN = 5 * 5
PRECISIONS: dict[str, tuple[Step, ...]] = {
    "float32": (),
    "float16": (FloatCasting(),),
    "bfloat16": (FloatCasting(dtype="bfloat16", compute="bfloat16"),),
    "int8-static": (StaticQuantization(calibration="percentile", bias_correction=True),),
    _FIRST: (StaticQuantization(calibration="percentile", bias_correction=True, keep_float="first"),),
    CAREFUL: (StaticQuantization(calibration="percentile", bias_correction=True, keep_float="auto"),),
    "int8-dynamic": (DynamicQuantization(),),
    "int8-dynamic-tensor": (DynamicQuantization(per_channel=False),),
    "int8-weights": (WeightQuantization(),),
    "int4-weights": (WeightQuantization(bits=4),),
    TWO_BITS: (WeightQuantization(bits=2, method="hqq", group_size=128),),
}
# In OpenVINO float16 storage halves the file and is computed in float32 too, as fast and with answers that hardly
# differ. ONNX Runtime alone gains speed by 4 bits (torch unpacks them in each call), and by convolutions in float32.
# One scale for a whole weight is tried where it was seen to be faster than one for each channel, which lose less.
NOT_TRIED: frozenset[tuple[str, OutputFormat]] = frozenset(
    {
        ("float32", "openvino"),
        (_FIRST, "torchscript"),
        (CAREFUL, "torchscript"),
        ("int8-dynamic-tensor", "torchscript"),
        ("int4-weights", "torchscript"),
        ("int4-weights", "openvino"),
        (TWO_BITS, "torchscript"),
        (TWO_BITS, "openvino"),
    }
)


@dataclass(frozen=True)
class WantedFiles:
    """`steps` are those of the recipe; what `candidates` do comes after them, for each by itself. `warnings` are for
    the job's owner, whatever comes of it."""

    steps: tuple[Step, ...]
    outputs: tuple[OutputFormat, ...]
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()


def wanted_files(options: JobOptions, facts: ModelFacts, *, has_data: bool) -> WantedFiles:
    """A preset leaves the precision to `auto`; a recipe that quantizes has chosen it, and gets every format that can
    hold it. Raises Invalid where no format can."""
    if options.outputs != (AUTO,):
        recipe, outputs = options.recipe, options.formats
        steps = recipe.resolved(facts, outputs, has_data=has_data)
        return WantedFiles(steps, outputs, warnings=recipe.warnings(facts, outputs, has_data=has_data))
    steps = options.recipe.steps or ()
    held = _held(steps, facts.outputs)
    if facts.outputs and not held:
        raise _no_format()
    if any(step.stage == "quantize" for step in steps):
        return WantedFiles(steps, held)
    runtimes = tuple(name for name in RUNTIMES if name in held) or held
    return WantedFiles(steps, runtimes, tuple(_candidates(runtimes, facts, has_data=has_data)))


def _held(steps: Sequence[Step], outputs: Sequence[OutputFormat]) -> tuple[OutputFormat, ...]:
    return tuple(name for name in outputs if all(name in step.held_by() for step in steps))


def _candidates(outputs: Sequence[OutputFormat], facts: ModelFacts, *, has_data: bool) -> list[Candidate]:
    return [
        Candidate(precision=precision, output=output, steps=steps)
        for output in outputs
        for precision, steps in PRECISIONS.items()
        if _is_worth_trying(precision, output, facts)
        and all(_fits(step, output, facts, has_data=has_data) for step in steps)
    ]


def _is_worth_trying(precision: str, output: OutputFormat, facts: ModelFacts) -> bool:
    needs = {_FIRST: _begins_with_few_channels, CAREFUL: has_thin_filters, TWO_BITS: _is_bound_by_memory}.get(precision)
    return (precision, output) not in NOT_TRIED and (needs is None or needs(facts))


def _begins_with_few_channels(facts: ModelFacts) -> bool:
    """A convolution of so few weights for each output reads pictures: int8 kernels are made for more channels."""
    first = ExpectedLayer.of(facts.layers[0]) if facts.layers else None
    return first is not None and first.type == "Conv2d" and first.weights <= _FEW_WEIGHTS * first.width


def _is_bound_by_memory(facts: ModelFacts) -> bool:
    """In 4 bits, the weights of linear layers are more than caches hold: half as many bytes are read twice as fast."""
    layers = (ExpectedLayer.of(layer) for layer in facts.layers)
    return sum(layer.weights for layer in layers if layer.type == "Linear") >= _MORE_THAN_CACHES


def has_thin_filters(facts: ModelFacts) -> bool:
    """Rounding errors of a filter of few weights, as depthwise convolutions have them, hardly cancel each other."""
    layers = (ExpectedLayer.of(layer) for layer in facts.layers[1:])
    return any(layer.type == "Conv2d" and layer.weights <= _THIN * layer.width for layer in layers)


def _fits(step: Step, output: OutputFormat, facts: ModelFacts, *, has_data: bool) -> bool:
    available = (TECHNIQUES[step.technique].unavailable_because(facts) or step.unfit_for(facts)) is None
    return available and output in step.held_by() and (has_data or not step.must_have_data())


def _no_format() -> Invalid:
    return Invalid(
        "No format that this model can be written in holds all steps of the recipe. Leave a quantize step out, or ask "
        "for one of the formats that `GET /v1/techniques` lists for each.",
        code="output_unavailable",
        title="The recipe can't be written in any format",
    )
