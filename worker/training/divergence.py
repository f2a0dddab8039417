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
        return Problem(
            f"The loss became infinite or not a number {self._where}. {self._advice(options)}",
            code="training_diverged",
            title="The training diverged",
        )

    def _advice(self, options: TrainingOptions) -> str:
        if (self.epoch, self.update) == (1, 1):
            return (
                "Nothing had been learned by then: check that the training data holds finite numbers only, and that "
                "the network answers them with finite numbers."
            )
        return f"Lower `learning_rate` (it is {options.learning_rate:g}) or set `gradient_clipping`, to 1 for example."

    def warning(self, best_epoch: int, options: TrainingOptions) -> str:
        return (
            f"Training stopped {self._where}, where the loss became infinite or not a number; the weights are those of "
            f"epoch {best_epoch}. A lower `learning_rate` than {options.learning_rate:g} would go on."
        )
