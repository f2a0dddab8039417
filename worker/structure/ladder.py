"""How much of a network may be pruned: all of it, else less, each step verified before it counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.structure.groups import Group

Choice = Callable[[Group], bool]


@dataclass(frozen=True)
class Rung:
    name: str
    takes: Choice


def _is_feed_forward(group: Group) -> bool:
    """Made by one layer and read by one: what is between them concerns nobody else."""
    return group.kind != "head" and len(group.layers) == 1 and len(group.readers) == 1


RUNGS = (
    Rung("the whole network", lambda _: True),
    Rung("feed-forward widths and attention heads", lambda group: group.kind == "head" or _is_feed_forward(group)),
    Rung("feed-forward widths", _is_feed_forward),
)


def taken(rung: Rung, groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if rung.takes(group)]
