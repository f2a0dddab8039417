"""What became of a network's layers: how many weights each has, and how they lie."""

from typing import Annotated

from pydantic import Field

from app.core.schemas import Schema

MOST_LAYERS, MOST_HISTOGRAMS, MOST_BINS = 200, 12, 64

Counts = Annotated[tuple[int, ...], Field(max_length=MOST_BINS)]


class WeightHistogram(Schema):
    """How many weights lie in each of equally wide bins from `low` to `high`; those that are exactly zero are counted
    in no bin. `zeros_before` and `zeros_after` are fractions."""

    low: float
    high: float
    before: Counts
    after: Counts
    zeros_before: float
    zeros_after: float


class LayerChange(Schema):
    """One layer of the upload, and what stands in its place; `after` is 0 where nothing does."""

    name: str = Field(max_length=200)
    type: str = Field(max_length=100)
    before: int = Field(description="Parameters.")
    after: int
    nonzero_after: int
    weights: WeightHistogram | None = None
