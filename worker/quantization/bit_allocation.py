"""How many bits each layer gets: Shoham and Gersho, Efficient Bit Allocation for an Arbitrary Set of Quantizers, 1988.

That the damages of single layers add up is assumed as in Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework,
2020, and in HAWQ-V3 (Yao et al., 2021); so whoever keeps to a budget measures the whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """What a layer in so many bits takes in a file, and what that alone does to the answers."""

    bits: int
    size_bytes: int
    damage: float


Allocation = Mapping[str, Precision]


def allocations(precisions: Mapping[str, Sequence[Precision]]) -> list[Allocation]:
    """By layer, from that of least damage to that of every layer's smallest, each smaller than the one before by one
    layer.

    The next layer is the one that is damaged least for each byte that it saves, so that none of the same size or
    smaller has less damage in sum, but for steps between these.
    """
    hulls = {name: _hull(of) for name, of in precisions.items()}
    changes = [(*_slopes(hull, position), name) for name, hull in hulls.items() for position in range(1, len(hull))]
    found: list[Allocation] = [{name: hull[0] for name, hull in hulls.items()}]
    for _slope, position, name in sorted(changes):
        found.append({**found[-1], name: hulls[name][position]})
    return found


def size_of(allocation: Allocation) -> int:
    return sum(precision.size_bytes for precision in allocation.values())


def _slopes(hull: Sequence[Precision], position: int) -> tuple[float, int]:
    return _slope(hull[position - 1], hull[position]), position


def _slope(larger: Precision, smaller: Precision) -> float:
    """Damage for each byte that is saved."""
    return (smaller.damage - larger.damage) / (larger.size_bytes - smaller.size_bytes)


def _hull(precisions: Sequence[Precision]) -> list[Precision]:
    """The lower convex hull of damage over size, the largest first: what lies above it is worse than a mixture."""
    hull: list[Precision] = []
    for precision in sorted(precisions, key=lambda each: (-each.size_bytes, each.damage)):
        if hull and precision.size_bytes == hull[-1].size_bytes:
            continue
        while hull and hull[-1].damage >= precision.damage:
            hull.pop()
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], precision):
            hull.pop()
        hull.append(precision)
    return hull
