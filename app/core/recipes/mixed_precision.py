"""Weights in fewer bits, each layer in as many as it needs."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.expected import ExpectedLayer, ExpectedNetwork
from app.core.measurements import OutputFormat
from app.core.recipes.base import StepBase
from app.core.recipes.storage import HOLDING_PACKED_WEIGHTS, OPERATOR_BYTES, SCALE_BYTES, rounded_to_zero
from app.core.schemas import Schema

Bits = Literal[8, 4, 3, 2]
Rounding = Literal["affine", "symmetric", "estimation", "hqq", "kmeans", "mean_rounding"]


_VALUES_IN_SCALE = 128


class PrecisionBudget(Schema):
    """One of these: what quality may fall by at most, in the metric's own unit (accuracy and agreement as fractions),
    or what every file that is written may take at most."""

    max_quality_drop: Annotated[float, Field(ge=0)] | None = None
    size_bytes: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "PrecisionBudget":
        if (self.max_quality_drop is None) == (self.size_bytes is None):
            raise ValueError("give one of `max_quality_drop` and `size_bytes`")
        return self


class MixedPrecision(StepBase):
    """Weights are stored in as many bits as their layer needs: where answers change least for each byte that is saved,
    in the fewest. docs/techniques/mixed_precision.md has the sources.
    """

    stage = "quantize"
    needs_editable_graph = False
    formats: ClassVar[tuple[OutputFormat, ...]] = HOLDING_PACKED_WEIGHTS
    summary: ClassVar[str] = "Stores each layer's weights in as few bits as a budget of quality or of bytes allows."

    technique: Literal["mixed_precision"] = "mixed_precision"
    bits: tuple[Bits, ...] = Field(
        (4, 8), min_length=1, description="What a layer may have; one that bears none of them stays in float32."
    )
    budget: PrecisionBudget = Field(
        PrecisionBudget(max_quality_drop=0.01),
        description="What quality may fall by, on training examples that are held back; or how large files may be.",
        examples=[{"max_quality_drop": 0.01}, {"size_bytes": 500_000}],
    )
    method: Rounding = Field("affine", description="How a weight finds its level, as in `weight_quantization`.")

    @model_validator(mode="after")
    def _names_each_once(self) -> "MixedPrecision":
        if len(set(self.bits)) != len(self.bits):
            raise ValueError("`bits` names a number twice")
        return self

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        """Alike in all layers: what just fits into a budget of bytes, or the fewest bits."""
        fewest, most = min(self.bits), max(self.bits)
        smallest, largest = self._stored(network, fewest), self._stored(network, most)
        if self.budget.size_bytes is None:
            return smallest.guessing("how many bits each layer needs; the fewest were taken")
        width = largest.size_bytes - smallest.size_bytes
        share = (self.budget.size_bytes - smallest.size_bytes) / width if width else 0.0
        return self._stored(network, fewest + (most - fewest) * min(1.0, max(0.0, share)))

    def _stored(self, network: ExpectedNetwork, bits: float) -> ExpectedNetwork:
        def stored(layer: ExpectedLayer) -> ExpectedLayer:
            if not self.touches(layer):
                return layer
            packed = layer.stored(bits, SCALE_BYTES + bits / 8, OPERATOR_BYTES, _VALUES_IN_SCALE)
            return packed.rounded(rounded_to_zero(bits))

        return network.changed(stored)

    def must_have_data(self) -> bool:
        return self.budget.max_quality_drop is not None
