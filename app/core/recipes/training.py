"""How a step trains: the fields that every technique with a training loop has."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from app.core.facts import ArrayFacts
from app.core.schemas import Schema

Optimizer = Literal["adamw", "sgd", "adam"]
LearningRateSchedule = Literal["cosine", "constant", "linear", "step"]
Augmentation = Literal["none", "flip", "shift", "standard"]

ADAMW_WEIGHT_DECAY = 0.01


class TrainingOptions(Schema):
    """Training ends after `epochs`, after `seconds` or by `early_stop`, whichever comes first."""

    epochs: int = Field(3, ge=1, le=1000)
    seconds: float | None = Field(None, gt=0, description="Training ends when this time is over; null: no limit.")
    learning_rate: float = Field(1e-3, gt=0, le=100)
    learning_rate_schedule: LearningRateSchedule = Field(
        "cosine", description="How the learning rate falls: to zero by cosine or linear, to a tenth at 1/2 and 3/4."
    )
    warm_up: float = Field(0.0, ge=0, le=0.5, description="Fraction of all updates in which the learning rate rises.")
    batch_size: int = Field(64, ge=2, le=65_536)
    optimizer: Optimizer = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1, description="Of `sgd` alone.")
    weight_decay: float | None = Field(None, ge=0, le=10, description="null: 0.01 for `adamw`, 0 for the others.")
    gradient_clipping: float | None = Field(None, gt=0, description="Largest norm of all gradients together.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Of classes: how far a label counts as any class.")
    augmentation: Augmentation = Field("none", description="Changes training images at random; standard: both.")
    validation: float = Field(0.1, ge=0, le=0.5, description="Fraction of the training examples kept for validation.")
    threads: int = Field(1, ge=1, le=64, description="Of the processor; several are worth it for large networks.")
    early_stop: bool = Field(True, description="Ends after `patience` epochs that validation finds no better.")
    patience: int = Field(3, ge=1, le=1000)

    def epochs_at_most(self) -> int:
        return self.epochs

    @property
    def decay(self) -> float:
        """The weight decay to use."""
        if self.weight_decay is not None:
            return self.weight_decay
        return ADAMW_WEIGHT_DECAY if self.optimizer == "adamw" else 0.0

    def unfit_for_data(self, arrays: Mapping[str, ArrayFacts]) -> str | None:
        inputs = [array for name, array in arrays.items() if name.partition(".")[0] in ("x", "x_train")]
        if self.augmentation == "none" or any(is_image(array.shape) for array in inputs):
            return None
        return (
            f"`augmentation` is for images of shape (examples, channels, height, width), and its examples have "
            f"{' and '.join(str(list(array.shape[1:])) for array in inputs)}; leave `augmentation` out"
        )


def is_image(shape: Sequence[int]) -> bool:
    """Of an array of them."""
    return len(shape) == 4
