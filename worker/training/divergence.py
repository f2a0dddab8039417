"""A loss that is no number any more."""

from app.core.errors import Problem
from app.core.recipes.training import TrainingOptions


class Diverged(Exception):
    """The loss or a weight became infinite or not a number. `update` counts from 1 within the epoch."""

    def __init__(self, epoch: int, update: int) -> None:
        super().__init__()
        self.epoch, self.update = epoch, update

    @property
    def _where(self) -> str:
        return f"at update {self.update} of epoch {self.epoch}"

    def problem(self, options: TrainingOptions) -> Problem:
        if (self.epoch, self.update) == (1, 1):
            cause = (
                "before any weight was changed. Check that the training data holds finite numbers only, and that the "
                "network answers them with finite numbers."
            )
        else:
            cause = f"Lower `learning_rate` (it is {options.learning_rate:g}) or set `gradient_clipping`, e.g. to 1."
        return Problem(
            f"The loss became infinite or not a number {self._where}, {cause}"
            if cause.startswith("before")
            else f"The loss became infinite or not a number {self._where}. {cause}",
            code="training_diverged",
            title="The training diverged",
        )

    def warning(self, best_epoch: int, options: TrainingOptions) -> str:
        return (
            f"Training stopped {self._where}, where the loss became infinite or not a number; the weights are those of "
            f"epoch {best_epoch}. A lower `learning_rate` than {options.learning_rate:g} would go on."
        )
