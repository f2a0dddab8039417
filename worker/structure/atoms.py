"""Which indices of which dimensions go together.

An *atom* is the smallest thing that can be removed: at first, one index of one dimension of one parameter. Where two
indices must go together their atoms become one. Where a dimension is split in two (64 channels seen as 4 heads of 16),
each of its indices goes if its head *or* its place in the head goes: its one atom is replaced by two. An index is
therefore marked with a *set* of atoms, and goes if any of them does; the empty set never goes.

Every answer is safe: what can't be said exactly is either joined further than need be or frozen.
"""

from collections.abc import Iterable

Mark = tuple[int, ...]
"""The atoms of one index, as they were when it was seen: `Atoms.now` says what has become of them."""

NEVER: Mark = ()

Marks = list[Mark] | None
"""One mark for each index of a dimension, or None where no index of it can ever go."""


class Atoms:
    def __init__(self) -> None:
        self._replaced: dict[int, Mark] = {}
        self._axis_of: list[int] = []
        self._axes = 0

    def axis(self, length: int) -> list[Mark]:
        """The marks of a new dimension. One index alone can't go: its tensor would be empty."""
        if length == 1:
            return [NEVER]
        first = len(self._axis_of)
        self._axis_of += [self._axes] * length
        self._axes += 1
        return [(atom,) for atom in range(first, first + length)]

    def axis_of(self, atom: int) -> int:
        return self._axis_of[atom]

    def now(self, mark: Mark) -> Mark:
        """Sorted, without duplicates."""
        if len(mark) == 1:
            return self._now(mark[0])
        return tuple(sorted({atom for one in mark for atom in self._now(one)}))

    def _now(self, atom: int) -> Mark:
        replaced = self._replaced.get(atom)
        if replaced is None:
            return (atom,)
        self._replaced[atom] = now = self.now(replaced) if replaced else NEVER
        return now

    def freeze(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            for atom in self.now(mark):
                self._replaced[atom] = NEVER

    def join(self, first: Mark, second: Mark) -> None:
        """From now on each goes if the other does."""
        one, other = set(self.now(first)), set(self.now(second))
        only_one, only_other = sorted(one - other), sorted(other - one)
        if not only_one or not only_other:
            self.freeze([(*only_one, *only_other)])
        elif len(only_one) == len(only_other):
            for older, newer in map(sorted, zip(only_one, only_other, strict=True)):
                self._replaced[newer] = (older,)
        elif 1 in (len(only_one), len(only_other)):
            single, several = sorted((only_one, only_other), key=len)
            self._replaced[single[0]] = tuple(several)
        else:
            self.freeze([(*only_one, *only_other)])

    def joined(self, first: Marks, second: Marks) -> Marks:
        """The marks of two dimensions that are one and the same for an operator."""
        if first is None or second is None:
            self.freeze(first or second or ())
            return None
        for one, other in zip(first, second, strict=True):
            self.join(one, other)
        return first
