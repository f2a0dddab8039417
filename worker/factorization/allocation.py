"""Which layers give how much, so that all together stay within a share of their work and of their weights, and the
least is lost.

By Lagrange's multiplier: for a price, each layer alone takes the choice whose loss and price add up to the least; the
lowest price at which both shares are kept is found by bisection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.factorization.plans import Plan

BISECTIONS = 60
DEAREST = 1e6  # of all work and all weights, in shares of a layer's squared weights


@dataclass(frozen=True)
class Whole:
    """What all layers take as they are."""

    macs: int
    weights: int

    def share_of(self, plan: Plan) -> float:
        """Of the work and of the weights, added up."""
        return plan.macs / self.macs + plan.weights / self.weights

    def keeps(self, plans: Mapping[str, Plan], share: float) -> bool:
        macs = sum(plan.macs for plan in plans.values())
        weights = sum(plan.weights for plan in plans.values())
        return macs <= share * self.macs and weights <= share * self.weights


def allocated(choices: Mapping[str, Sequence[Plan]], whole: Whole, share: float) -> dict[str, Plan]:
    """For each layer one of its choices. Where even the cheapest are too dear together, those."""
    low, high = 0.0, DEAREST
    for _ in range(BISECTIONS):
        price = (low * high) ** 0.5 if low else high * 1e-3
        low, high = (low, price) if whole.keeps(_at_price(choices, whole, price), share) else (price, high)
    return _at_price(choices, whole, high)


def _at_price(choices: Mapping[str, Sequence[Plan]], whole: Whole, price: float) -> dict[str, Plan]:
    return {
        name: min(plans, key=lambda plan: plan.lost + price * whole.share_of(plan)) for name, plans in choices.items()
    }
