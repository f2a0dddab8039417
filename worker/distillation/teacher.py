"""The network whose answers are taught. Its mode stays evaluation, and nothing of it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from worker.distillation.intermediates import Recording, with_intermediates
from worker.network import tensors_in
from worker.training import Batch

MOST_BYTES_KEPT = 256 << 20

Answers = tuple[Tensor, ...]


@dataclass
class KeptAnswers:
    """A teacher's answers by the data set's row, so that each example is answered once and not in each epoch.

    Kept up to `MOST_BYTES_KEPT`: beyond that nothing is.
    """

    rows: int
    _answers: Answers | None = None
    _known: Tensor | None = None
    _too_large: bool = False

    def of(self, rows: np.ndarray) -> Answers | None:
        """None unless those of all `rows` are known."""
        if self._answers is None or self._known is None or not self._known[rows].all():
            return None
        return tuple(kept[rows] for kept in self._answers)

    def keep(self, rows: np.ndarray, answers: Answers) -> None:
        if self._answers is None and not self._too_large:
            self._make_room(answers)
        if self._answers is None or self._known is None:
            return
        for kept, answer in zip(self._answers, answers, strict=True):
            kept[rows] = answer
        self._known[rows] = True

    def _make_room(self, answers: Answers) -> None:
        of_one_example = sum(answer[0].numel() * answer.element_size() for answer in answers)
        self._too_large = of_one_example * self.rows > MOST_BYTES_KEPT
        if not self._too_large:
            self._answers = tuple(answer.new_zeros(self.rows, *answer.shape[1:]) for answer in answers)
            self._known = torch.zeros(self.rows, dtype=torch.bool)


class Teacher:
    def __init__(self, module: nn.Module, rows: int) -> None:
        """`rows` is the size of the data set."""
        self._module, self._kept = module.eval(), KeptAnswers(rows)
        self._seeing: dict[tuple[str, ...], Recording] = {}

    def answers(self, batch: Batch, nodes: Sequence[str] = ()) -> tuple[Answers, Answers]:
        """Its answers, and the values of these nodes of its graph, which are too large to be kept."""
        if nodes or batch.rows is None:
            return self._asked(batch, tuple(nodes))
        known = self._kept.of(batch.rows)
        if known is None:
            known, _ = self._asked(batch, ())
            self._kept.keep(batch.rows, known)
        return known, ()

    def _asked(self, batch: Batch, nodes: tuple[str, ...]) -> tuple[Answers, Answers]:
        if nodes not in self._seeing:
            self._seeing[nodes] = with_intermediates(self._module, nodes)
        with torch.no_grad():
            answers, values = self._seeing[nodes](*batch.inputs)
        return tensors_in(answers), values
