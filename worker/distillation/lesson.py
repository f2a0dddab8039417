"""What a student can be taught beside its answers."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

Nodes = Sequence[tuple[str, str]]


class Lesson(Protocol):
    """`nodes` are names of nodes of both graphs, the student's first; their values are compared."""

    @property
    def nodes(self) -> Nodes: ...

    def loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor: ...
