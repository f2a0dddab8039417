"""Named recipes. Each is a list of choices, of which one is taken by what is known of the model, the data and the
outputs."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from app.core.errors import Invalid
from app.core.expected import FLOAT_BITS, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.measurements import OutputFormat
from app.core.plans.sizes import size_in
from app.core.recipes import (
    TECHNIQUES,
    DynamicQuantization,
    FloatCasting,
    StaticQuantization,
    Step,
    WeightQuantization,
)
from app.core.schemas import Schema

PresetName = Literal["small", "fast", "safe"]

# Static int8 leaves recurrent layers in float32. On transformers it is smaller than dynamic int8, and no faster.
RECURRENT = ("GRU", "LSTM", "RNN")
TRANSFORMERS = ("LayerNorm", "MultiheadAttention")
# Where weights are unpacked once, when a file is opened, or computed with as they are.
UNPACKED_ONCE: tuple[OutputFormat, ...] = ("onnx", "openvino", "state_dict")
# What computes in int8 may be so much larger than the smallest file.
TOLERATED = 1.5


class Choice(Schema):
    """`not_for` names layers on whose networks these steps would do harm. Some steps are only for the formats
    `only_in`; and some only where the layers that they round do most of the multiply-accumulates."""

    steps: tuple[Step, ...]
    not_for: tuple[str, ...] = ()
    only_in: tuple[OutputFormat, ...] = ()
    for_most_of_the_work: bool = False

    def passed_over_because(
        self, facts: ModelFacts, outputs: Collection[OutputFormat], *, has_data: bool
    ) -> str | None:
        """None where it fits."""
        return next(self._reasons(facts, outputs, has_data=has_data), None)

    def _reasons(self, facts: ModelFacts, outputs: Collection[OutputFormat], *, has_data: bool) -> Iterator[str]:
        for step in self.steps:
            if reason := TECHNIQUES[step.technique].unavailable_because(facts):
                yield reason
            if step.needs_data and not has_data:
                yield "it needs data"
            if missing := [name for name in outputs if name not in step.held_by()]:
                yield f"{missing[0]} can't hold it"
        if harmed := facts.layer_types().intersection(self.not_for):
            yield f"it does a network with {sorted(harmed)[0]} layers no good"
        if slow := [name for name in outputs if self.only_in and name not in self.only_in]:
            yield f"in {slow[0]} weights are unpacked in each call, which takes time"
        if self.for_most_of_the_work and _part_of_the_work(self._expected(facts)) < 0.5:
            yield "the layers that it rounds do less than half of the multiply-accumulates"
        if self.size_in(outputs, facts) >= Choice(steps=()).size_in(outputs, facts):
            yield "the file would be no smaller"

    def size_in(self, outputs: Collection[OutputFormat], facts: ModelFacts) -> int:
        """Expected, of one file in each format."""
        network = self._expected(facts)
        return sum(size_in(network, output) for output in outputs)

    def _expected(self, facts: ModelFacts) -> ExpectedNetwork:
        network = ExpectedNetwork.of(facts)
        for step in self.steps:
            network = step.expected(network)
        return network


def _part_of_the_work(network: ExpectedNetwork) -> float:
    """That of layers in fewer bits; all, where nothing is known of it."""
    rounded = sum(layer.macs for layer in network.layers if layer.bits < FLOAT_BITS)
    return rounded / network.macs if network.macs else 1.0


class Preset(Schema):
    name: PresetName
    summary: str
    choices: tuple[Choice, ...]
    needs_network: bool = False
    by_size: bool = False

    def steps(self, facts: ModelFacts, outputs: Collection[OutputFormat], *, has_data: bool) -> tuple[Step, ...]:
        """Those of the first choice that fits; `by_size`, of the first that is hardly larger than the smallest. Without
        one, none: the network stays as it is."""
        if self.needs_network and not facts.runs:
            raise Invalid(
                f"The preset {self.name} is about the time of a call, and weights without their network can't be "
                "called. Take `small` for the smallest file, name the steps, or see `blocked_by` in the model's facts.",
                code="preset_unavailable",
                title="The preset doesn't fit the model",
            )
        fitting = [c for c in self.choices if c.passed_over_because(facts, outputs, has_data=has_data) is None]
        if self.by_size and fitting:
            most = TOLERATED * min(choice.size_in(outputs, facts) for choice in fitting)
            fitting = [choice for choice in fitting if choice.size_in(outputs, facts) <= most]
        return fitting[0].steps if fitting else ()

    def warnings(self, facts: ModelFacts, outputs: Sequence[OutputFormat], *, has_data: bool) -> tuple[str, ...]:
        """What is to be known of the choice: that there was none, though the preset is there to compress."""
        if not self.choices or self.steps(facts, outputs, has_data=has_data):
            return ()
        reasons = (
            f"{choice.steps[0].technique}: {choice.passed_over_because(facts, outputs, has_data=has_data)}"
            for choice in self.choices
        )
        return (
            f"Nothing was compressed: the preset {self.name} has nothing that fits ({'; '.join(reasons)}). "
            f"{self._way_out()}, or name steps: the model's `facts.techniques` lists those that it allows.",
        )

    def _way_out(self) -> str:
        return "Ask for other outputs" if self.by_size else "Take the preset `small` for a smaller file"


PRESETS: dict[PresetName, Preset] = {
    "small": Preset(
        name="small",
        by_size=True,
        summary="The smallest file: int8 weights, computed with in int8 wherever that leaves it as small.",
        choices=(
            Choice(steps=(StaticQuantization(calibration="percentile", bias_correction=True),), not_for=RECURRENT),
            Choice(steps=(DynamicQuantization(),)),
            Choice(steps=(WeightQuantization(),)),
            Choice(steps=(FloatCasting(),)),
        ),
    ),
    "fast": Preset(
        name="fast",
        needs_network=True,
        summary="The shortest time for one call: calibrated int8 with data, else int8 where it is most of the work, "
        "else weights in int8 where they cost a call nothing.",
        choices=(
            Choice(
                steps=(StaticQuantization(calibration="percentile", bias_correction=True, examples=200),),
                not_for=RECURRENT + TRANSFORMERS,
            ),
            Choice(steps=(DynamicQuantization(),), for_most_of_the_work=True),
            Choice(steps=(WeightQuantization(),), only_in=UNPACKED_ONCE),
        ),
    ),
    "safe": Preset(
        name="safe",
        summary="No weight is changed: the network as it is, in the faster runtime.",
        choices=(),
    ),
}
