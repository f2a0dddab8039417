"""Channels, neurons, heads and hidden units taken away."""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.expected import CONVOLUTIONS, GATES, ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.recipes.amounts import StepWithAmount
from app.core.recipes.base import Control, Pattern
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
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
# ONNX Runtime's quick convolutions take so many channels at a time, or a multiple of it.
QUICK_CHANNELS = 4
# A kernel of 5 x 5 in one channel; a filter that reads several channels through a smaller one is rarely so short.
_LARGEST_DEPTHWISE = 25
# Of a recurrent layer's weights, the part that reads its own outputs, if it reads no more inputs than it has outputs.
_OF_ONE_LEVEL = 0.5
LAYERS_OF: dict[Unit, frozenset[str]] = {
    "auto": CONVOLUTIONS | RECURRENT | {"Linear", "Embedding"},
    "channel": CONVOLUTIONS,
    "filter": CONVOLUTIONS,
    "neuron": frozenset({"Linear", "Embedding"}),
    "head": frozenset({"Linear", "MultiheadAttention"}),
    "hidden": RECURRENT,
}
# From there on the ratio doesn't change what is left.
_HALVINGS = 20


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

    def is_met_by(self, network: ExpectedNetwork) -> bool:
        if self.macs is not None:
            return network.macs <= self.macs
        if self.parameters is not None:
            return network.parameters <= self.parameters
        return self.size_bytes is not None and network.size_bytes <= self.size_bytes


class StructuredPruning(StepWithAmount):
    """Takes whole channels, neurons, attention heads and hidden units away, with everything that reads them."""

    stage = "prune"
    edits_parts = True
    amounts = ("ratio", "ratios", "target")
    default_amount = 0.5
    summary: ClassVar[str] = "Removes channels, neurons, attention heads and hidden units: smaller and faster."

    technique: Literal["structured_pruning"] = "structured_pruning"
    ratio: Ratio | None = Field(
        None, description="Fraction of the units removed.", json_schema_extra={"default": 0.5}, examples=[0.5]
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
    def _names_layers(self) -> "StructuredPruning":
        if self.ratios is not None and not self.ratios:
            raise ValueError("`ratios` names no layer")
        return self

    def as_control(self, control: Control) -> "StructuredPruning":
        if control == "random":
            return self.model_copy(update={"criterion": "random"})
        return self.model_copy(update={"criterion": "l1", "schedule": Schedule()})

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        """Layers in the order of their names are taken to read one another."""
        if self.target is not None:
            return self._just_meeting(network, self.target)
        told = _narrowed(network, self._share_of)
        if self.scope == "global" and self.ratios is None:
            return told.guessing("which layers lose more than others; all were taken to lose alike")
        return told

    def _share_of(self, layer: ExpectedLayer) -> float:
        if layer.type not in LAYERS_OF[self.unit] or not self.touches(layer):
            return 0.0
        if self.ratios is None:
            return self.amount
        return next((ratio for pattern, ratio in self.ratios.items() if fnmatchcase(layer.name, pattern)), 0.0)

    def _just_meeting(self, network: ExpectedNetwork, target: PruningTarget) -> ExpectedNetwork:
        """By the ratio that does, alike in all layers."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            ratio = (low + high) / 2
            step = self.model_copy(update={"ratio": ratio, "target": None})
            low, high = (low, ratio) if target.is_met_by(_narrowed(network, step._share_of)) else (ratio, high)
        step = self.model_copy(update={"ratio": high, "target": None})
        return _narrowed(network, step._share_of)

    def epochs_at_most(self) -> int:
        return self.schedule.epochs_in_all

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


def thinned(network: ExpectedNetwork, share: float) -> ExpectedNetwork:
    """Every layer that can lose units loses this share of them."""
    return _narrowed(network, lambda layer: share if layer.type in LAYERS_OF["auto"] else 0.0)


def _narrowed(network: ExpectedNetwork, share_of: Callable[[ExpectedLayer], float]) -> ExpectedNetwork:
    """Each layer loses its share of outputs, and the inputs that the layer before no longer answers. The network's own
    inputs and answers stay."""
    last = _last_that_answers(network)
    before, layers = 1.0, []
    for layer in network.layers:
        outputs = 1.0 if layer is last else 1 - share_of(layer)
        if layer.weights:
            layers.append(_smaller(layer, before, outputs))
            before = outputs
        else:
            layers.append(layer.times(1.0, before))
    return replace(network, layers=tuple(layers))


def _last_that_answers(network: ExpectedNetwork) -> ExpectedLayer | None:
    return next((layer for layer in reversed(network.layers) if layer.weights), None)


def _smaller(layer: ExpectedLayer, inputs: float, outputs: float) -> ExpectedLayer:
    """`inputs` and `outputs` are the parts that stay. Rows of a table have no inputs, nor has a depthwise filter. A
    recurrent layer's weights read its own outputs, too: all of them where there are too many for one level."""
    length = layer.weights / layer.width if layer.width else 0.0
    if layer.type == "Embedding" or (layer.type in CONVOLUTIONS and length <= _LARGEST_DEPTHWISE):
        return layer.times(outputs, outputs)
    if layer.type in RECURRENT:
        own = GATES[layer.type] * layer.width / length if length else 1.0
        own = own if own > _OF_ONE_LEVEL else 1.0
        return layer.times(outputs * (own * outputs + (1 - own) * inputs), outputs)
    return layer.times(inputs * outputs, outputs)
