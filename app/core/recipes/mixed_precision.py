"""Weights in fewer bits, each layer in as many as it needs."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.measurements import OutputFormat
from app.core.recipes.base import StepBase
from app.core.recipes.storage import HOLDING_PACKED_WEIGHTS
from app.core.schemas import Schema

Bits = Literal[8, 4, 3, 2]
Rounding = Literal["affine", "symmetric", "estimation", "hqq", "kmeans", "mean_rounding"]


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

    def must_have_data(self) -> bool:
        return self.budget.max_quality_drop is not None
