"""What a training did, epoch by epoch."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from app.core.measurements import Epoch, Metric

Ending = Literal["epochs", "early_stop", "seconds", "diverged"]


@dataclass
class History:
    """`start_quality` is the validation quality before training; `best_epoch` that of the weights that were kept, 0
    for those that training started from."""

    metric: Metric
    start_quality: float | None
    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    ending: Ending = "epochs"

    @property
    def best_quality(self) -> float | None:
        return self.epochs[self.best_epoch - 1].validation_quality if self.best_epoch else self.start_quality

    @property
    def epochs_since_best(self) -> int:
        return len(self.epochs) - self.best_epoch

    def is_better(self, quality: float | None) -> bool:
        """Whether weights of this quality replace the best so far: without validation examples, the latest do."""
        best = self.best_quality
        if quality is None or best is None or not isfinite(best):
            return True
        return quality < best if self.metric == "mean_squared_error" else quality > best
