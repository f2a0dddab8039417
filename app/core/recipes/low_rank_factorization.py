"""Layers as products of smaller ones."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.facts import ModelFacts
from app.core.recipes.base import StepBase

FACTORED_LAYERS = frozenset({"Linear", "Conv1d", "Conv2d"})
CONVOLUTIONS = frozenset({"Conv1d", "Conv2d"})


class LowRankFactorization(StepBase):
    """Replaces a layer by two to four smaller ones whose product comes close to it, where that saves work.

    `svd` is the truncated singular value decomposition (the best approximation of its rank: Eckart and Young, 1936),
    `tucker` is Tucker-2 (Kim et al., 2016), `cp` the canonical polyadic decomposition (Lebedev et al., 2015).
    """

    stage = "prune"
    summary: ClassVar[str] = "Replaces linear layers and convolutions by chains of smaller ones."

    technique: Literal["low_rank_factorization"] = "low_rank_factorization"
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Fraction removed of the multiply-accumulates and of the weights of all layers that can be "
        "factored, at least, spread so that little is lost; with `cp`, of each layer's multiply-accumulates. 0.5 where "
        "no amount is given.",
        examples=[0.5],
    )
    rank: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(None, description="The same rank for every layer.")
    energy: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Fraction of the sum of squared singular values kept, at least; for `svd` and `tucker`."
    )
    method: Literal["auto", "svd", "tucker", "cp"] = Field(
        "auto", description="auto: tucker for convolutions that are wider than one point, svd for everything else."
    )

    @model_validator(mode="after")
    def _has_one_amount(self) -> "LowRankFactorization":
        if sum(amount is not None for amount in (self.ratio, self.rank, self.energy)) > 1:
            raise ValueError("give one of `ratio`, `rank` and `energy`")
        if self.energy is not None and self.method == "cp":
            raise ValueError("`cp` has no singular values whose energy could be kept: give `rank` or `ratio`")
        return self

    @property
    def share_removed(self) -> float:
        """The ratio when neither a rank nor an energy is given."""
        return 0.5 if self.ratio is None else self.ratio

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.method in ("tucker", "cp") and not facts.layer_types() & CONVOLUTIONS:
            return f"`{self.method}` is for convolutions over one or two dimensions, and the model has none"
        return None

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        if facts.layer_types() & FACTORED_LAYERS:
            return None
        return "the model has no linear layer and no convolution over one or two dimensions"
