"""Which intermediate value of a student belongs to which of its teacher's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from worker.distillation.intermediates import Value

MOST_PAIRS = 4
_FEW_RESOLUTIONS = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Pair:
    student: Value
    teacher: Value

    @property
    def names(self) -> tuple[str, str]:
        return self.student.name, self.teacher.name


def matched(student: Sequence[Value], teacher: Sequence[Value]) -> list[Pair]:
    """By name, which a pruned network has of its upload; a network of another make by the order of resolutions.

    In order of depth: the last value of each resolution; where there are only one or two, as in transformers and
    perceptrons, up to four, spread evenly.
    """
    pairs = _by_name(student, teacher) or _by_resolution(student, teacher)
    ends = {pair.teacher.places: pair for pair in pairs}
    return list(ends.values()) if len(ends) > _FEW_RESOLUTIONS else spread(pairs, MOST_PAIRS)


def _by_name(student: Sequence[Value], teacher: Sequence[Value]) -> list[Pair]:
    of_teacher = {value.name: value for value in teacher}
    named = [Pair(value, of_teacher[value.name]) for value in student if value.name in of_teacher]
    return [pair for pair in named if pair.student.places == pair.teacher.places]


def _by_resolution(student: Sequence[Value], teacher: Sequence[Value]) -> list[Pair]:
    of_student = {places: list(values) for places, values in groupby(student, lambda value: value.places)}
    pairs = []
    for places, values in groupby(teacher, lambda value: value.places):
        theirs, ours = list(values), of_student.get(places, [])
        count = min(len(theirs), len(ours))
        pairs += [Pair(s, t) for s, t in zip(spread(ours, count), spread(theirs, count), strict=True)]
    return pairs


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` of them at even distances, the last one among them."""
    count = min(count, len(items))
    return [items[-(-len(items) * number // count) - 1] for number in range(1, count + 1)]
