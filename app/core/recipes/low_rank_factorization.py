"""Layers as products of smaller ones."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.expected import ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.recipes.amounts import StepWithAmount

FACTORED_LAYERS = frozenset({"Linear", "Conv1d", "Conv2d"})
CONVOLUTIONS = frozenset({"Conv1d", "Conv2d"})


class LowRankFactorization(StepWithAmount):
    """Replaces a layer by two to four smaller ones whose product comes close to it, where that saves work.

    `svd` is the truncated singular value decomposition (the best approximation of its rank: Eckart and Young, 1936),
    `tucker` is Tucker-2 (Kim et al., 2016), `cp` the canonical polyadic decomposition (Lebedev et al., 2015).
    """

    stage = "prune"
    amounts = ("ratio", "rank", "energy")
    default_amount = 0.5
    summary: ClassVar[str] = "Replaces linear layers and convolutions by chains of smaller ones."

    technique: Literal["low_rank_factorization"] = "low_rank_factorization"
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Fraction removed of the multiply-accumulates and of the weights of all layers that can be "
        "factored, at least, spread so that little is lost; with `cp`, of each layer's multiply-accumulates.",
        json_schema_extra={"default": 0.5},
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
    def _has_singular_values(self) -> "LowRankFactorization":
        if self.energy is not None and self.method == "cp":
            raise ValueError("`cp` has no singular values whose energy could be kept: give `rank` or `ratio`")
        return self

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        depth = 0
        layers = []
        for layer in network.layers:
            can = layer.type in FACTORED_LAYERS and layer.weights > 0 and layer.width > 0 and self.touches(layer)
            layers.append(self._factored(layer, depth) if can else layer)
            depth = layer.width if layer.weights else depth
        factored = replace(network, layers=tuple(layers))
        if self.rank is not None:
            return factored
        if self.energy is None:
            return factored.guessing("which of weights and multiply-accumulates falls below the ratio, and how far")
        return factored.guessing("how many singular values hold the `energy`; half of the weights were taken to go")

    def _factored(self, layer: ExpectedLayer, depth: int) -> ExpectedLayer:
        """`depth` is how many channels the layer before answers."""
        if self.rank is None:
            return replace(layer.times(1 - self.amount), pieces=2)
        left = self._left_by_rank(layer, depth, self.rank) / layer.weights
        return replace(layer.times(left), pieces=3 if layer.type in CONVOLUTIONS else 2) if left < 1 else layer

    def _left_by_rank(self, layer: ExpectedLayer, depth: int, rank: int) -> float:
        """Weights of a product of that rank: of two matrices, or by Tucker-2 also of a core as wide as the kernel."""
        length = layer.weights / layer.width
        kernel = length / depth if depth else 1.0
        if layer.type not in CONVOLUTIONS or kernel <= 1 or self.method == "svd":
            return min(rank, length, layer.width) * (length + layer.width)
        inner, outer = min(rank, depth), min(rank, layer.width)
        return inner * depth + inner * outer * kernel + outer * layer.width

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.method in ("tucker", "cp") and not facts.layer_types() & CONVOLUTIONS:
            return f"`{self.method}` is for convolutions over one or two dimensions, and the model has none"
        return None

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        if facts.layer_types() & FACTORED_LAYERS:
            return None
        return "the model has no linear layer and no convolution over one or two dimensions"
