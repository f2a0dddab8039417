"""Steps that can be told in several ways how much of a network goes."""

from typing import ClassVar, Self

from pydantic import model_validator

from app.core.recipes.base import StepBase


class StepWithAmount(StepBase):
    """`amounts` names the fields that say it, of which a recipe gives one; where it gives none, the first is the
    `default_amount`."""

    amounts: ClassVar[tuple[str, ...]]
    default_amount: ClassVar[float]

    @model_validator(mode="after")
    def _has_one_amount(self) -> Self:
        given = sum(getattr(self, name) is not None for name in self.amounts)
        if given > 1:
            *first, last = (f"`{name}`" for name in self.amounts)
            raise ValueError(f"give one of {', '.join(first)} and {last}")
        if not given:
            # Past the model's being frozen; before validation it would no longer be JSON that is validated.
            vars(self)[self.amounts[0]] = self.default_amount
        return self

    @property
    def amount(self) -> float:
        """The fraction that goes where nothing else says how much."""
        fraction: float | None = getattr(self, self.amounts[0])
        return self.default_amount if fraction is None else fraction
