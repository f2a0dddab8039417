"""Which units go, when it is clear how many."""

from collections import defaultdict
from collections.abc import Sequence
from math import ceil

from worker.structure.amounts import Ranked
from worker.structure.groups import Group


def least_important(ranked: Sequence[Ranked], removed: Sequence[int], round_to: int = 1) -> set[int]:
    """The atoms of the `removed[i]` units of lowest score of each group, or fewer: `smallest` of them stay, cells of a
    recurrent layer stay equally wide, and `round_to` divides what stays where it can."""
    groups = [one.group for one in ranked]
    wanted = _equalized(
        groups, [min(count, len(one) - one.smallest) for one, count in zip(groups, removed, strict=True)]
    )
    return {
        one.group.atoms[unit]
        for one, count in zip(ranked, wanted, strict=True)
        for unit in one.scores.argsort(stable=True)[: _rounded(one.group, count, round_to)].tolist()
    }


def _equalized(groups: Sequence[Group], counts: Sequence[int]) -> list[int]:
    """Cells that must stay equally wide lose what they would on average."""
    together = defaultdict(list)
    for group, count in zip(groups, counts, strict=True):
        together[group.equal_with].append(count)
    return [
        count if group.equal_with is None else sum(together[group.equal_with]) // len(together[group.equal_with])
        for group, count in zip(groups, counts, strict=True)
    ]


def _rounded(group: Group, removed: int, round_to: int) -> int:
    if round_to == 1 or group.kind == "head":
        return removed
    return max(0, len(group) - ceil((len(group) - removed) / round_to) * round_to)
