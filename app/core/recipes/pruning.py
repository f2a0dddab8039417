"""Techniques that take weights away."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.core.expected import FLOAT_BITS, ExpectedLayer, ExpectedNetwork
from app.core.facts import ModelFacts
from app.core.recipes.amounts import StepWithAmount
from app.core.recipes.base import Control, missing_matrices
from app.core.recipes.schedules import Schedule

Criterion = Literal["l1", "l2", "random", "gradient", "snip", "wanda", "obd", "stability", "spread", "lsh"]
Side = Annotated[int, Field(ge=1, le=256)]

FROM_DATA = frozenset({"gradient", "snip", "wanda", "obd", "stability", "spread"})
# How many weights of how many neighbours remain.
KEPT_OF = {"2:4": (2, 4), "4:8": (4, 8)}


class MagnitudePruning(StepWithAmount):
    """Sets the least important weights to zero; by default those of smallest magnitude (Han et al., 2015).

    Zeros make a file compressible; they do not make dense kernels faster.
    """

    stage = "prune"
    needs_network = False
    needs_editable_graph = False
    amounts = ("sparsity", "threshold", "target_size_bytes")
    default_amount = 0.5
    summary: ClassVar[str] = "Sets the least important weights to zero, over the whole network or layer by layer."

    technique: Literal["magnitude_pruning"] = "magnitude_pruning"
    sparsity: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Fraction of weights removed.", json_schema_extra={"default": 0.5}, examples=[0.5]
    )
    threshold: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Weights (blocks) whose score by the criterion is below this are removed."
    )
    target_size_bytes: Annotated[int, Field(ge=1)] | None = Field(
        None, description="As many are removed as it takes for `model.safetensors`, which stores no zeros, to fit."
    )
    criterion: Criterion = Field("l1", description="How weights are ranked; the least important go.")
    scope: Literal["global", "layer"] = Field(
        "global", description="global: all weights are ranked together. layer: each layer loses the same fraction."
    )
    pattern: Literal["unstructured", "2:4", "4:8", "block"] = Field(
        "unstructured",
        description="2:4, 4:8: of each 4 (8) neighbours along a layer's inputs 2 (4) remain. block: whole blocks go.",
    )
    block: tuple[Side, Side] = Field(
        (4, 1), description="Rows (outputs) and columns (inputs) of a block, where the pattern is `block`."
    )
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _fits_together(self) -> "MagnitudePruning":
        if self.threshold is not None and self.criterion == "random":
            raise ValueError("a `threshold` is of a weight's score, and the criterion `random` has none")
        if self.pattern in KEPT_OF and self.sparsity != 0.5:
            raise ValueError(f"the pattern {self.pattern} removes half of the weights, no other amount")
        return self

    def as_control(self, control: Control) -> "MagnitudePruning | None":
        """Not for a `threshold`, which takes another amount by each criterion."""
        if self.threshold is not None:
            return None
        if control == "random":
            return self.model_copy(update={"criterion": "random"})
        return self.model_copy(update={"criterion": "l1", "schedule": Schedule()})

    def expected(self, network: ExpectedNetwork) -> ExpectedNetwork:
        if self.threshold is not None:
            return network.guessing("how many weights a `threshold` removes, which was taken as none")
        left = 1 - self._share_of(network)

        def pruned(layer: ExpectedLayer) -> ExpectedLayer:
            return replace(layer, nonzero=min(layer.nonzero, layer.weights * left)) if self.touches(layer) else layer

        return network.changed(pruned)

    def _share_of(self, network: ExpectedNetwork) -> float:
        """For a file of so many bytes: what is left has a bit for each place, and the values that aren't zero."""
        if self.target_size_bytes is None:
            return self.amount
        weights = sum(layer.weights for layer in network.layers if self.touches(layer))
        others = network.size_bytes - weights * FLOAT_BITS / 8
        left = (self.target_size_bytes - others - weights / 8) * 8 / FLOAT_BITS / max(weights, 1)
        return min(1.0, max(0.0, 1 - left))

    def epochs_at_most(self) -> int:
        return self.schedule.epochs_in_all

    def must_have_data(self) -> bool:
        return self.criterion in FROM_DATA or self.schedule.epochs > 0

    @classmethod
    def missing_layers(cls, facts: ModelFacts) -> str | None:
        return missing_matrices(facts)

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.must_have_data() and not facts.runs:
            return f"{self._learning()} needs the network that the weights belong to; see `blocked_by`"
        if self.criterion in FROM_DATA and facts.editable != "whole":
            return f"the criterion `{self.criterion}` needs a network that can be edited as a whole; see `blocked_by`"
        return None

    def _learning(self) -> str:
        return f"the criterion `{self.criterion}`" if self.criterion in FROM_DATA else "training between rounds"
