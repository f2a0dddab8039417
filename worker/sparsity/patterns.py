"""What is removed as one, and so many of each M neighbours."""

import torch
from torch import Tensor
from torch.nn import functional

from app.core.recipes.pruning import KEPT_OF, MagnitudePruning
from worker.sparsity.weights import matrix


def unit_scores(step: MagnitudePruning, scores: Tensor) -> Tensor:
    """For single weights the scores themselves, for blocks of the pattern (rows of blocks, columns of blocks): the sum
    of a block's scores, or by l2 their Euclidean norm. Blocks at the edge may be smaller."""
    if step.pattern != "block":
        return scores
    rows, columns = step.block
    grid = _padded(matrix(scores), rows, columns)
    power = 2 if step.criterion == "l2" else 1
    tiles = grid.view(grid.shape[0] // rows, rows, grid.shape[1] // columns, columns)
    return tiles.clamp_min(0).pow(power).sum(dim=(1, 3)).pow(1 / power)


def weights_of_units(step: MagnitudePruning, units: Tensor, weight: Tensor) -> Tensor:
    """The mask of the weights that belong to the chosen units, in the weight's shape."""
    if step.pattern != "block":
        return units.view_as(weight)
    rows, columns = step.block
    whole = units.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
    height, width = matrix(weight).shape
    return whole[:height, :width].reshape(weight.shape)


def least_of_neighbours(pattern: str, scores: Tensor) -> Tensor:
    """The mask that leaves the N highest of each M neighbours along the inputs (a convolution's are its input
    channels times the positions of its kernel). Of a remainder of fewer than M neighbours also N remain."""
    kept, size = KEPT_OF[pattern]
    width = matrix(scores).shape[1]
    groups = _padded(matrix(scores), 1, size, beyond=-torch.inf).view(len(scores), -1, size)
    removed = torch.zeros(groups.shape, dtype=torch.bool)
    lowest = groups.argsort(dim=2, stable=True)[:, :, : size - kept]
    removed.scatter_(2, lowest, True)
    return removed.flatten(1)[:, :width].reshape(scores.shape)


def _padded(values: Tensor, rows: int, columns: int, beyond: float = 0.0) -> Tensor:
    height, width = values.shape
    return functional.pad(values, (0, -width % columns, 0, -height % rows), value=beyond)
