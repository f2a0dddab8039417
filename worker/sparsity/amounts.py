"""How much a step removes after each of its rounds."""

from torch import nn

from app.core.errors import Invalid
from app.core.recipes.pruning import KEPT_OF, MagnitudePruning
from worker.sparsity.ranking import Ranking
from worker.sparsity.storage import StoredSize
from worker.sparsity.weights import Tensors

_HALVINGS = 24


def weights_to_remove(step: MagnitudePruning, ranking: Ranking, module: nn.Module, part: float) -> Tensors:
    """Masks by weight name; `part` is what the schedule has removed of the whole amount after this round."""
    if step.threshold is not None:
        return ranking.below(step.threshold * part)
    if step.target_size_bytes is not None:
        return ranking.removed(part * _fraction_for_size(step.target_size_bytes, ranking, module))
    return ranking.removed(part if step.pattern in KEPT_OF else part * step.amount)


def _fraction_for_size(target: int, ranking: Ranking, module: nn.Module) -> float:
    """The smallest fraction with which the file fits. Raises Invalid where none does."""
    size = StoredSize(module)
    low, high = 0.0, 1.0
    if size.without(ranking.removed(low)) <= target:
        return low
    if size.without(ranking.removed(high)) > target:
        raise _out_of_reach(target, size.without(ranking.removed(high)))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if size.without(ranking.removed(middle)) <= target:
            high = middle
        else:
            low = middle
    return high


def _out_of_reach(target: int, nearest: int) -> Invalid:
    return Invalid(
        f"`target_size_bytes` asks for {target} bytes, and without any of the weights that the step may touch the "
        f"file still has {nearest}: biases, norms and excluded layers remain. Ask for more than that, or take whole "
        "channels away with structured_pruning.",
        code="target_not_met",
        title="The target is out of reach",
    )
