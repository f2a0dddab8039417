"""Channels, neurons, heads and hidden units taken away."""

from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.facts import ModelFacts
from app.core.recipes.base import Control, Pattern, StepBase
from app.core.recipes.schedules import Schedule
from app.core.schemas import Schema

Criterion = Literal[
    "l2",
    "l1",
    "group_norm",
    "batch_norm_scale",
    "lamp",
    "fpgm",
    "taylor",
    "hessian",
    "apoz",
    "mean_activation",
    "stability",
    "lsh",
    "random",
    "reconstruction_error",
]
Unit = Literal["auto", "channel", "filter", "neuron", "head", "hidden"]
Scope = Literal["global", "layer", "isomorphic"]
Reconstruction = Literal["none", "least_squares"]
Ratio = Annotated[float, Field(ge=0, lt=1)]

FROM_DATA = frozenset({"taylor", "hessian", "apoz", "mean_activation", "stability", "reconstruction_error"})
CONVOLUTIONS = frozenset({"Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"})
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
LAYERS_OF: dict[Unit, frozenset[str]] = {
    "auto": CONVOLUTIONS | RECURRENT | {"Linear", "Embedding"},
    "channel": CONVOLUTIONS,
    "filter": CONVOLUTIONS,
    "neuron": frozenset({"Linear", "Embedding"}),
    "head": frozenset({"Linear", "MultiheadAttention"}),
    "hidden": RECURRENT,
}


class PruningTarget(Schema):
    """One of these, at most this much: multiply-accumulates for one example, parameters, or their bytes."""

    macs: Annotated[int, Field(ge=1)] | None = None
    parameters: Annotated[int, Field(ge=1)] | None = None
    size_bytes: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "PruningTarget":
        if sum(amount is not None for amount in (self.macs, self.parameters, self.size_bytes)) != 1:
            raise ValueError("give one of `macs`, `parameters` and `size_bytes`")
        return self


class StructuredPruning(StepBase):
    """Takes whole channels, neurons, attention heads and hidden units away, with everything that reads them."""

    stage = "prune"
    edits_parts = True
    summary: ClassVar[str] = "Removes channels, neurons, attention heads and hidden units: smaller and faster."

    technique: Literal["structured_pruning"] = "structured_pruning"
    ratio: Ratio | None = Field(
        None, description="Fraction of the units removed; 0.5 where no other amount is given.", examples=[0.5]
    )
    ratios: dict[Pattern, Ratio] | None = Field(
        None,
        description="Fractions by pattern of layer names; the first that matches counts, other layers stay.",
        examples=[{"conv1": 0.25, "conv*": 0.5}],
    )
    target: PruningTarget | None = Field(None, description="The ratio is searched for that just meets it.")
    criterion: Criterion = Field("l2", description="How units are ranked: the least important go.")
    unit: Unit = Field(
        "auto",
        description="auto: all kinds. filter: convolutions' channels, judged by the filters that make them; channel: "
        "the same, judged by the weights that read them. neuron: of linear layers. head: of attention. hidden: of "
        "recurrent layers.",
    )
    scope: Scope = Field(
        "global",
        description="global: all units are ranked together. layer: every layer loses the same fraction. isomorphic: "
        "layers of the same structure are ranked together.",
    )
    round_to: int = Field(1, ge=1, le=1024, description="What stays of a layer is a multiple of this, if it can be.")
    reconstruction: Reconstruction = Field(
        "none",
        description="least_squares: the weights that read what went are solved anew, so that with what is left they "
        "answer on training examples as they did before.",
    )
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _has_one_amount(self) -> "StructuredPruning":
        if sum(amount is not None for amount in (self.ratio, self.ratios, self.target)) > 1:
            raise ValueError("give one of `ratio`, `ratios` and `target`")
        if self.ratios is not None and not self.ratios:
            raise ValueError("`ratios` names no layer")
        return self

    @property
    def amount(self) -> float:
        """The ratio where nothing else says how much."""
        return 0.5 if self.ratio is None else self.ratio

    def as_control(self, control: Control) -> "StructuredPruning":
        if control == "random":
            return self.model_copy(update={"criterion": "random"})
        return self.model_copy(update={"criterion": "l1", "schedule": Schedule()})

    def must_have_data(self) -> bool:
        return self._looks_at_data() or self.schedule.epochs > 0

    def _looks_at_data(self) -> bool:
        return self.criterion in FROM_DATA or self.reconstruction != "none"

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if not facts.layer_types() & LAYERS_OF[self.unit]:
            return f"the model has no layer with units of the kind `{self.unit}`"
        return self._not_for_parts(facts) or self._unmatched(facts) or self._met_already(facts)

    def _not_for_parts(self, facts: ModelFacts) -> str | None:
        if facts.editable == "partly" and (self.target is not None or self._looks_at_data()):
            return (
                "a `target`, a `reconstruction`, and a `criterion` that looks at data, need a network that can be "
                "edited as a whole"
            )
        return None

    def _unmatched(self, facts: ModelFacts) -> str | None:
        for pattern in self.ratios or ():
            if not any(fnmatchcase(layer.name, pattern) for layer in facts.layers):
                return f"no layer matches the pattern {pattern!r} of `ratios`"
        return None

    def _met_already(self, facts: ModelFacts) -> str | None:
        target = self.target
        if target is not None and target.parameters is not None and target.parameters >= facts.parameters:
            return f"`target` asks for {target.parameters} parameters, and the model has {facts.parameters}"
        if target is not None and target.macs is not None and facts.macs is not None and target.macs >= facts.macs:
            return f"`target` asks for {target.macs} multiply-accumulates, and the model has {facts.macs}"
        return None

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        if facts.layer_types() & LAYERS_OF["auto"]:
            return None
        return "the model has no convolution, linear, embedding or recurrent layer that could lose units"
