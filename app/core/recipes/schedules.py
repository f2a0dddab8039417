"""How pruning is spread over rounds, with training in between."""

from typing import Literal

from pydantic import Field, model_validator

from app.core.recipes.training import TrainingOptions
from app.core.schemas import Schema


class Schedule(Schema):
    """`one_shot` removes everything at once. Else each of the rounds removes a part, so that training can make up for
    it before the next: linear, the same part each time; cubic, most of it in the first rounds, when there is most to
    spare (Zhu and Gupta, To Prune, or Not to Prune, 2017)."""

    kind: Literal["one_shot", "linear", "cubic"] = "one_shot"
    rounds: int = Field(1, ge=1, le=100)
    epochs: int = Field(0, ge=0, le=1000, description="Epochs of training after each round, the last one too.")
    learning_rate: float = Field(1e-3, gt=0, le=100, description="Of the training after each round.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Of the training after each round.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Schedule":
        if self.kind == "one_shot" and self.rounds > 1:
            raise ValueError("`one_shot` has one round; choose `linear` or `cubic` for more `rounds`")
        return self

    @property
    def parts(self) -> tuple[float, ...]:
        """What is removed in all after each round, as fractions of the amount; the last one is 1."""
        done = [number / self.rounds for number in range(1, self.rounds + 1)]
        return tuple(done) if self.kind != "cubic" else tuple(1 - (1 - part) ** 3 for part in done)

    @property
    def epochs_in_all(self) -> int:
        return self.rounds * self.epochs

    @property
    def training(self) -> TrainingOptions | None:
        """What happens after each round."""
        if not self.epochs:
            return None
        return TrainingOptions(epochs=self.epochs, learning_rate=self.learning_rate, batch_size=self.batch_size)
