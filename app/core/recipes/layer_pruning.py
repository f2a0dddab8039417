"""Whole layers and blocks left out."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.core.expected import GATES, ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.recipes.amounts import StepWithAmount

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
# The upper of two levels reads outputs from both sides or one.
_UPPER_LEVEL = 0.7
SHAPED = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d"})


class LayerPruning(StepWithAmount):
    """Leaves out whole residual blocks, and layers whose answers have the shape of their inputs.

    `cosine` leaves out what changes its input least (Men et al., ShortGPT, 2024), `taylor` what the loss depends on
    least (the sum of |weight x gradient|; Molchanov et al., 2019), `random` is a control.
    """

    stage = "prune"
    needs_data = True
    amounts = ("ratio", "count")
    default_amount = 0.25
    summary: ClassVar[str] = "Leaves out whole residual blocks and repeated layers, the least important first."

    technique: Literal["layer_pruning"] = "layer_pruning"
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Fraction of the blocks that can be left out, at least one.",
        json_schema_extra={"default": 0.25},
        examples=[0.25],
    )
    count: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="How many blocks go.")
    criterion: Literal["cosine", "taylor", "random"] = "cosine"

    def must_have_data(self) -> bool:
        return self.criterion != "random"

    def count_of(self, blocks: int) -> int:
        if self.count is not None:
            return self.count
        return max(1, round(blocks * self.amount))

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        """Layers as wide as the one before them stand for the blocks that can be left out."""
        blocks = tuple(_repeating(network))
        share = min(1.0, self.count_of(len(blocks)) / max(1, len(blocks)))

        def thinned(layer: ExpectedLayer) -> ExpectedLayer:
            if layer.name not in blocks or not self.touches(layer):
                return layer
            return layer.times(1 - share * (_UPPER_LEVEL if layer.type in RECURRENT else 1))

        return network.changed(thinned).guessing("which blocks go; layers that can go were taken to go alike")

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        shapes = [layer.output_shape for layer in facts.layers if layer.type in SHAPED and layer.parameters]
        if facts.layer_types() & RECURRENT or len(set(shapes)) < len(shapes):
            return None
        return "no two layers answer in the same shape, so that none can be left out"


def _repeating(network: ExpectedNetwork) -> Iterator[str]:
    """Names of layers that answer as many channels as they read, and of recurrent ones with several levels."""
    before = 0
    for layer in network.layers:
        if layer.weights and layer.width:
            length = layer.weights / layer.width
            if layer.type in RECURRENT and length > 2 * GATES[layer.type] * layer.width:
                yield layer.name
            if layer.type in SHAPED and before == layer.width and length % before == 0:
                yield layer.name
            before = layer.width
