"""What a network may lose, and what it may cost at most."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.core.intervals import Interval
from app.core.measurements import Metric
from app.core.schemas import Schema

Bound = Literal["max_quality_drop", "max_size_bytes", "max_latency_ms"]
ROUNDING = 1e-9


@dataclass(frozen=True)
class Cost:
    """Of one file: `quality_drop` as `drop_of` gives it; None is what isn't known."""

    size_bytes: float
    latency_ms: float | None
    quality_drop: float | None


class Budget(Schema):
    """At least one of these. Without `max_quality_drop` as much quality is kept as the other bounds leave room for."""

    max_quality_drop: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Against the upload, in the metric's own unit: of accuracy and agreement, a fraction.",
        examples=[0.01],
    )
    max_size_bytes: Annotated[int, Field(ge=1)] | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Of one call, as the job measures it (see `measure`)."
    )

    @model_validator(mode="after")
    def _has_a_bound(self) -> "Budget":
        if not self.bounds:
            raise ValueError("there is nothing in the budget: give at least `max_quality_drop`")
        return self

    @property
    def bounds(self) -> Mapping[Bound, float]:
        """Those that were given."""
        return self.model_dump(exclude_none=True)  # type: ignore[return-value]

    def needed_by(self, cost: Cost) -> Mapping[Bound, float]:
        """For each bound that the file breaks, or of which nothing is known, what the bound would have to be."""
        values: dict[Bound, float | None] = {
            "max_quality_drop": cost.quality_drop,
            "max_size_bytes": cost.size_bytes,
            "max_latency_ms": cost.latency_ms,
        }
        known = {name: float("inf") if value is None else value for name, value in values.items()}
        return {name: known[name] for name, bound in self.bounds.items() if known[name] > bound + ROUNDING}

    def excess(self, cost: Cost) -> float:
        """By how much bounds are broken: quality in its own unit, size and time as fractions; 0 where all are kept."""
        needed = self.needed_by(cost)
        return sum(
            value - self.bounds[name] if name == "max_quality_drop" else value / self.bounds[name] - 1
            for name, value in needed.items()
        )


def drop_of(metric: Metric, change: float) -> float:
    """By how much quality fell: an error rises."""
    return change if metric == "mean_squared_error" else -change


def drop_interval(metric: Metric, interval: Interval) -> Interval:
    low, high = sorted(drop_of(metric, bound) for bound in interval)
    return low, high
