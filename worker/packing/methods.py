"""How each method of weight quantization that needs no data finds the codes of a weight."""

from collections.abc import Mapping

from torch import Tensor

from app.core.recipes import WeightQuantization
from worker.packing.codebooks import bins_at_their_means, clustered
from worker.packing.few_levels import to_three_levels, to_two_levels
from worker.packing.fitted_levels import to_half_quadratic_levels, to_least_squares_levels
from worker.packing.groups import Fit, fitted
from worker.packing.packed import Codebook, Grouped
from worker.packing.rounding import to_affine_levels, to_symmetric_levels

_FITS: Mapping[str, Fit] = {
    "affine": to_affine_levels,
    "symmetric": to_symmetric_levels,
    "estimation": to_least_squares_levels,
    "hqq": to_half_quadratic_levels,
    "ternary": to_three_levels,
    "binary": to_two_levels,
    "gptq": to_affine_levels,  # what its weights without known inputs get
}
_CODEBOOKS = {"kmeans": clustered, "mean_rounding": bins_at_their_means}


def quantized(step: WeightQuantization, weight: Tensor, rows: int) -> Grouped | Codebook:
    if step.method in _CODEBOOKS:
        return _CODEBOOKS[step.method](weight, step.bits)
    return fitted(_FITS[step.method], weight, rows, step.group_size, step.bits)
