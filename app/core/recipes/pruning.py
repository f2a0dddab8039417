"""Techniques that take weights away."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.recipes.base import StepBase


class MagnitudePruning(StepBase):
    """Sets the weights of smallest magnitude to zero (Han et al., 2015).

    Zeros make a file compressible; they do not make dense kernels faster.
    """

    stage = "prune"
    needs_editable_graph = False
    summary: ClassVar[str] = "Sets the smallest weights to zero, over the whole network or layer by layer."

    technique: Literal["magnitude_pruning"] = "magnitude_pruning"
    sparsity: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Fraction of weights removed; 0.5 where `threshold` isn't given either.", examples=[0.5]
    )
    threshold: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Weights whose absolute value is below this are removed."
    )
    criterion: Literal["l1", "l2", "random"] = "l1"
    scope: Literal["global", "layer"] = "global"

    @model_validator(mode="after")
    def _has_one_amount(self) -> "MagnitudePruning":
        if self.sparsity is not None and self.threshold is not None:
            raise ValueError("give `sparsity` or `threshold`, not both")
        if self.threshold is not None and self.criterion == "random":
            raise ValueError("a `threshold` is of a weight's size, which the criterion `random` doesn't look at")
        return self

    @property
    def amount(self) -> float:
        """The fraction to remove when no threshold is given."""
        return 0.5 if self.sparsity is None else self.sparsity
