"""Named recipes. Each is a list of choices; the first that the model, the data and the outputs allow is taken."""

from collections.abc import Collection
from typing import Literal

from app.core.errors import Invalid
from app.core.facts import ModelFacts
from app.core.measurements import OutputFormat
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


class Choice(Schema):
    """`not_for` names layers on whose networks these steps would do harm; some steps are only for weights without a
    network."""

    steps: tuple[Step, ...]
    not_for: tuple[str, ...] = ()
    for_weights_alone: bool = False

    def fits(self, facts: ModelFacts, outputs: Collection[OutputFormat], *, has_data: bool) -> bool:
        if self.for_weights_alone and facts.runs:
            return False
        return facts.layer_types().isdisjoint(self.not_for) and all(
            TECHNIQUES[step.technique].unavailable_because(facts) is None
            and (has_data or not step.needs_data)
            and set(outputs) <= set(step.held_by())
            for step in self.steps
        )


class Preset(Schema):
    name: PresetName
    summary: str
    choices: tuple[Choice, ...]
    needs_network: bool = False

    def steps(self, facts: ModelFacts, outputs: Collection[OutputFormat], *, has_data: bool) -> tuple[Step, ...]:
        """Those of the first choice that fits; without one, none: the network stays as it is."""
        if self.needs_network and not facts.runs:
            raise Invalid(
                f"The preset {self.name} is about the time of a call, and weights without their network can't be "
                "called. Take `small` for the smallest file, name the steps, or see `blocked_by` in the model's facts.",
                code="preset_unavailable",
                title="The preset doesn't fit the model",
            )
        return next((c.steps for c in self.choices if c.fits(facts, outputs, has_data=has_data)), ())


PRESETS: dict[PresetName, Preset] = {
    "small": Preset(
        name="small",
        summary="The smallest file: int8 weights wherever the runtime has kernels for them.",
        choices=(
            Choice(steps=(StaticQuantization(calibration="percentile", bias_correction=True),), not_for=RECURRENT),
            Choice(steps=(DynamicQuantization(),)),
            Choice(steps=(WeightQuantization(),), for_weights_alone=True),
            Choice(steps=(FloatCasting(),), for_weights_alone=True),
        ),
    ),
    "fast": Preset(
        name="fast",
        needs_network=True,
        summary="The shortest time for one call: calibrated int8 with data, else int8 linear and LSTM layers.",
        choices=(
            Choice(
                steps=(StaticQuantization(calibration="percentile", bias_correction=True, examples=200),),
                not_for=RECURRENT + TRANSFORMERS,
            ),
            Choice(steps=(DynamicQuantization(),)),
        ),
    ),
    "safe": Preset(
        name="safe",
        summary="No weight is changed: the network as it is, in the faster runtime.",
        choices=(),
    ),
}
