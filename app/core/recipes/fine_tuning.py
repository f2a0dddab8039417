"""Training a changed network on labelled examples."""

from typing import ClassVar, Literal

from pydantic import Field

from app.core.facts import ModelFacts
from app.core.recipes.base import StepBase
from app.core.recipes.training import TrainingOptions


class FineTuning(TrainingOptions, StepBase):
    """Trains the network on the data set's labels; weights that were pruned to zero stay zero.

    `weights` goes on from the weights that there are (fine-tuning), `scratch` draws new ones for the same shapes
    (retraining; Liu et al., Rethinking the Value of Network Pruning, 2019).
    """

    stage = "recover"
    needs_data = True
    needs_labels = True
    needs_editable_graph = False
    summary: ClassVar[str] = "Trains on the data set's labels, which brings back what pruning lost."

    technique: Literal["fine_tuning"] = "fine_tuning"
    start: Literal["weights", "scratch"] = Field("weights", description="Go on training, or begin anew.")

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.start == "scratch" and facts.editable != "whole":
            return "`start` can only be `weights` where an archive keeps its own forward: it doesn't say how it began"
        return super().unfit_for(facts)
