"""How much a step removes after each of its rounds."""

from torch import nn

from app.core.errors import Invalid
from app.core.recipes.pruning import KEPT_OF, MagnitudePruning
from worker.sparsity.ranking import Ranking
from worker.sparsity.storage import StoredSize
from worker.sparsity.weights import Tensors

_HALVINGS = 24
_TRIALS_OF_ZLIB = 4


def weights_to_remove(step: MagnitudePruning, ranking: Ranking, module: nn.Module, part: float) -> Tensors:
    """Masks by weight name; `part` is what the schedule has removed of the whole amount after this round."""
    if step.threshold is not None:
        return ranking.below(step.threshold * part)
    if step.target_size_bytes is not None:
        return ranking.removed(part * _fraction_for_size(step.target_size_bytes, ranking, module))
    return ranking.removed(part if step.pattern in KEPT_OF else part * step.amount)


def _fraction_for_size(target: int, ranking: Ranking, module: nn.Module) -> float:
    """Nearly the smallest fraction with which the file fits. Raises Invalid where none does.

    How much zlib saves is known only when it has been tried; it hardly changes with the fraction.
    """
    size = StoredSize(module)
    allowed, fraction = float(target), 1.0
    for _ in range(_TRIALS_OF_ZLIB):
        tried = _fraction_without_zlib(allowed, ranking, size)
        found = size.deflated_without(ranking.removed(tried))
        if found <= target:
            fraction = min(fraction, tried)
        if fraction == 0.0:
            break
        allowed *= target / found
    least = size.deflated_without(ranking.removed(1.0)) if fraction == 1.0 else 0
    if least > target:
        raise _out_of_reach(target, least)
    return fraction


def _fraction_without_zlib(allowed: float, ranking: Ranking, size: StoredSize) -> float:
    """The smallest with which the file fits, or all if none does."""
    low, high = 0.0, 1.0
    if size.without(ranking.removed(low)) <= allowed:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if size.without(ranking.removed(middle)) <= allowed:
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
