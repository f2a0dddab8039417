"""What POST /v1/plans answers."""

from typing import Literal

from pydantic import Field

from app.core.measurements import Prediction
from app.core.schemas import Schema


class PlannedStep(Schema):
    """The network as the step is expected to leave it; the size is that of a file in the first format."""

    technique: str
    parameters: int
    macs: int | None
    size_bytes: int


class Basis(Schema):
    """How each figure was obtained, in plain words."""

    parameters: str
    macs: str
    size_bytes: str
    seconds: str
    memory_mb: str


class Plan(Prediction):
    """What a job would come to. Nothing was queued or kept."""

    object: Literal["plan"] = "plan"
    model: str
    dataset: str | None
    steps: tuple[PlannedStep, ...]
    basis: Basis
    warnings: tuple[str, ...] = Field(description="What no fact could tell, and what was taken in its place.")
