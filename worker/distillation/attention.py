"""Where a layer looks: Zagoruyko and Komodakis, Paying More Attention to Attention, 2017.

The paper's maps are over an image's places. Over the steps of a sequence they are the same thing with one axis less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from worker.distillation.lesson import Nodes
from worker.distillation.matching import Pair

WEIGHT = 10.0  # the paper's beta / 2


@dataclass(frozen=True)
class AttentionTransfer:
    """Of pairs whose values have places."""

    pairs: Sequence[Pair]

    @property
    def nodes(self) -> Nodes:
        return [pair.names for pair in self.pairs]

    def loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The sum over pairs of the distance between both maps, the mean over examples."""
        distances = [
            attention_map(mine, pair.student.channel_axis) - attention_map(taught, pair.teacher.channel_axis)
            for pair, mine, taught in zip(self.pairs, student, teacher, strict=True)
        ]
        return WEIGHT * torch.stack([distance.norm(dim=1).mean() for distance in distances]).sum()


def attention_map(features: Tensor, channel_axis: int) -> Tensor:
    """The sum of squares over the channels, flattened and scaled to a length of one, of shape (examples, places)."""
    return normalize(features.square().sum(channel_axis).flatten(1), dim=1)
