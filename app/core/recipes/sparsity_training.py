"""Training that makes a network ready for pruning."""

from typing import ClassVar, Literal

from pydantic import Field

from app.core.facts import ModelFacts
from app.core.recipes.base import StepBase
from app.core.recipes.training import TrainingOptions

Penalty = Literal["l1", "l2", "group_lasso", "batch_norm_l1"]

BATCH_NORMS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})


class SparsityTraining(TrainingOptions, StepBase):
    """Trains with a penalty on weights, so that what is of little use becomes small before it is pruned.

    `group_lasso` is over output channels (Wen et al., Learning Structured Sparsity, 2016), `batch_norm_l1` over the
    scales of batch norms (Liu et al., network slimming, 2017). Learns from labels, or without them from the answers of
    the upload. The last weights are kept: the penalty moves them away from those of the best quality.
    """

    stage = "prepare"
    needs_data = True
    summary: ClassVar[str] = "Trains with a penalty that makes unneeded weights or channels small before pruning."

    technique: Literal["sparsity_training"] = "sparsity_training"
    penalty: Penalty = Field("l1", description="What is made small; `only` and `exclude` say in which layers.")
    strength: float = Field(1e-4, gt=0, le=1e4, description="Weight of the penalty beside the loss.")
    early_stop: bool = Field(False, description="Ends after `patience` epochs that validation finds no better.")

    def unfit_for(self, facts: ModelFacts) -> str | None:
        if self.penalty == "batch_norm_l1" and not facts.layer_types() & BATCH_NORMS:
            return "`batch_norm_l1` is a penalty on the scales of batch norms, and it has none; take `group_lasso`"
        return None
