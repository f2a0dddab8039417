"""What a user may ask for: an ordered list of steps, each one technique with its parameters.

A new technique is one class in this folder, named in `Step` below, and one file in `worker/techniques`.
"""

from typing import Annotated, get_args

from pydantic import Field

from app.core.recipes.base import STAGES, Stage, StepBase
from app.core.recipes.distillation import Distillation
from app.core.recipes.fine_tuning import FineTuning
from app.core.recipes.layer_pruning import LayerPruning
from app.core.recipes.low_rank_factorization import LowRankFactorization
from app.core.recipes.mixed_precision import MixedPrecision
from app.core.recipes.pruning import MagnitudePruning
from app.core.recipes.quantization import DynamicQuantization, StaticQuantization
from app.core.recipes.quantization_aware_training import QuantizationAwareTraining
from app.core.recipes.sparsity_training import SparsityTraining
from app.core.recipes.storage import FloatCasting, WeightQuantization
from app.core.recipes.structured_pruning import StructuredPruning

Step = Annotated[
    SparsityTraining
    | MagnitudePruning
    | StructuredPruning
    | LayerPruning
    | LowRankFactorization
    | FineTuning
    | Distillation
    | StaticQuantization
    | DynamicQuantization
    | QuantizationAwareTraining
    | WeightQuantization
    | FloatCasting
    | MixedPrecision,
    Field(discriminator="technique"),
]

TECHNIQUES: dict[str, type[StepBase]] = {
    step.model_fields["technique"].default: step for step in get_args(get_args(Step)[0])
}

__all__ = [
    "STAGES",
    "TECHNIQUES",
    "Distillation",
    "DynamicQuantization",
    "FineTuning",
    "FloatCasting",
    "LayerPruning",
    "LowRankFactorization",
    "MagnitudePruning",
    "MixedPrecision",
    "QuantizationAwareTraining",
    "SparsityTraining",
    "Stage",
    "StaticQuantization",
    "Step",
    "StepBase",
    "StructuredPruning",
    "WeightQuantization",
]
