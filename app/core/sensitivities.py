"""What a job of kind `sensitivity` finds: how quality changes when one layer at a time is pruned or rounded."""

from typing import Literal

from pydantic import Field

from app.core.measurements import Quality
from app.core.schemas import Schema

ChangedBy = Literal["structured_pruning", "magnitude_pruning", "weight_quantization"]


class SensitivityOptions(Schema):
    """What a caller may say of such a job."""

    dataset: str | None = Field(
        None, max_length=40, examples=["dataset_…"], description="Without one, answers to random inputs are compared."
    )
    seed: int = Field(0, ge=0, lt=1 << 32)


class LayerSensitivity(Schema):
    """`quality` and `quality_change` are in the unit of the baseline's metric. `agreement`, `kl_divergence` and `error`
    compare with the network as it is, on the same examples."""

    layer: str
    tied: tuple[str, ...] = Field((), description="Other layers that lose the same units.")
    technique: ChangedBy
    amount: float = Field(description="The fraction that is removed; the bits of each weight.")
    quality: float
    quality_change: float
    agreement: float | None
    kl_divergence: float | None
    error: float = Field(description="Mean squared error of the answers as a fraction of their variance.")


class Sensitivity(Schema):
    """`layers` has a row for each layer and change; `complete` says whether time was enough for all of them."""

    baseline: Quality
    layers: tuple[LayerSensitivity, ...] = Field(max_length=2000)
    complete: bool
    warnings: tuple[str, ...] = ()
