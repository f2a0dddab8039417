"""What a training did, epoch by epoch."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from app.core.measurements import Epoch, Metric

Ending = Literal["epochs", "early_stop", "seconds", "diverged"]


@dataclass(frozen=True)
class Judgement:
    """`quality` by the metric that finished files are judged by, in its own unit; `loss` of the same answers. On a few
    examples accuracy is coarse: of equal ones the smaller loss tells which is better."""

    metric: Metric
    quality: float
    loss: float

    def is_better_than(self, other: "Judgement") -> bool:
        return not other._is_finite or (self._is_finite and self._rank > other._rank)

    @property
    def _rank(self) -> tuple[float, float]:
        return (-self.quality if self.metric == "mean_squared_error" else self.quality, -self.loss)

    @property
    def _is_finite(self) -> bool:
        return isfinite(self.quality) and isfinite(self.loss)


@dataclass
class History:
    """`best_epoch` is that of the weights that were kept, 0 for those that training started from, and `best` their
    judgement, None without validation examples."""

    metric: Metric
    best: Judgement | None
    best_epoch: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    ending: Ending = "epochs"

    @property
    def epochs_since_best(self) -> int:
        return len(self.epochs) - self.best_epoch

    def is_better(self, judgement: Judgement | None) -> bool:
        """Whether weights that were judged so replace the best so far: unjudged, the latest do."""
        return judgement is None or self.best is None or judgement.is_better_than(self.best)
