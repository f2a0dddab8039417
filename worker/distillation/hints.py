"""Hints: Romero et al., FitNets: Hints for Thin Deep Nets, 2015.

The student's intermediate values learn to be the teacher's. Where a student is thinner, a regressor (a convolution of
size one, or a linear layer) leads from its channels to the teacher's. Regressors learn beside the student and are
thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worker.distillation.lesson import Nodes
from worker.distillation.matching import Pair

REGRESSOR_LEARNING_RATE = 1e-2


@dataclass(frozen=True)
class Hints:
    pairs: Sequence[Pair]
    regressors: Sequence[nn.Module]

    @classmethod
    def between(cls, pairs: Sequence[Pair], seed: int) -> "Hints":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(pairs, [_regressor(pair) for pair in pairs])

    def up_to(self, depth: int) -> "Hints":
        """The first pairs alone, with the same regressors."""
        return Hints(self.pairs[:depth], self.regressors[:depth])

    @property
    def nodes(self) -> Nodes:
        return [pair.names for pair in self.pairs]

    def loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The mean over pairs of the squared error relative to the teacher's mean square, so that layers of large
        values count no more than others."""
        errors = [
            relative_error(_regressed(regressor, mine, pair), taught)
            for regressor, pair, mine, taught in zip(self.regressors, self.pairs, student, teacher, strict=True)
        ]
        return torch.stack(errors).mean()


class RegressorTraining:
    """`step` is to be called after each step of the student's own optimizer."""

    def __init__(self, hints: Hints | None) -> None:
        regressors = hints.regressors if hints is not None else ()
        learned = [parameter for regressor in regressors for parameter in regressor.parameters()]
        self._optimizer = torch.optim.AdamW(learned, REGRESSOR_LEARNING_RATE) if learned else None

    def step(self) -> None:
        if self._optimizer is not None:
            self._optimizer.step()
            self._optimizer.zero_grad()


def _regressor(pair: Pair) -> nn.Module:
    if pair.student.channels == pair.teacher.channels:
        return nn.Identity()
    return nn.Linear(pair.student.channels, pair.teacher.channels)


def _regressed(regressor: nn.Module, value: Tensor, pair: Pair) -> Tensor:
    channels_last: Tensor = regressor(value.movedim(pair.student.channel_axis, -1))
    return channels_last.movedim(-1, pair.teacher.channel_axis)


def relative_error(given: Tensor, target: Tensor) -> Tensor:
    return (given - target).square().mean() / target.square().mean().clamp_min(torch.finfo(target.dtype).tiny)
