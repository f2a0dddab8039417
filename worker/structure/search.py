"""The ratio that just meets a target, by bisection; every cost is counted on a network that was really cut."""

from collections.abc import Callable

from app.core.errors import Invalid
from app.core.recipes.structured_pruning import PruningTarget
from worker.counting import count
from worker.network import Network

HALVINGS = 10
LARGEST = 0.99


def cost_of(network: Network, target: PruningTarget) -> int:
    if target.macs is not None:
        return count(network).macs
    if target.parameters is not None:
        return network.parameters
    return sum(parameter.numel() * parameter.element_size() for parameter in network.module.parameters())


def meeting(target: PruningTarget, cut_at: Callable[[float], Network]) -> float:
    """The least ratio whose network costs no more than the target. Raises Invalid where none does."""
    ((_, wanted),) = target.model_dump(exclude_none=True).items()
    nearest = cost_of(cut_at(LARGEST), target)
    if nearest > wanted:
        raise _out_of_reach(target, wanted, nearest)
    too_small, enough = 0.0, LARGEST
    for _ in range(HALVINGS):
        middle = (too_small + enough) / 2
        if cost_of(cut_at(middle), target) <= wanted:
            enough = middle
        else:
            too_small = middle
    return enough


def _out_of_reach(target: PruningTarget, wanted: int, nearest: int) -> Invalid:
    (name,) = target.model_dump(exclude_none=True)
    return Invalid(
        f"`target` asks for {name} {wanted}, and the least that structured pruning of the chosen layers can leave is "
        f"{nearest}. Ask for {nearest} or more, choose more layers, or add another technique.",
        code="target_not_met",
        title="The target is out of reach",
    )
