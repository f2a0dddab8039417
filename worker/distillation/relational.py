"""Relations among the examples of a batch: Park et al., Relational Knowledge Distillation, 2019.

Teacher and student may describe an example by different numbers of features: only the geometry is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from worker.distillation.lesson import Nodes

DISTANCE_WEIGHT, ANGLE_WEIGHT = 25.0, 50.0  # the paper's own for classification


@dataclass(frozen=True)
class Relations:
    """Among what student and teacher know of each example: the values of one node of each."""

    student: str
    teacher: str

    @property
    def nodes(self) -> Nodes:
        return [(self.student, self.teacher)]

    def loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        mine, taught = student[0].flatten(1), teacher[0].flatten(1)
        return DISTANCE_WEIGHT * distance_loss(mine, taught) + ANGLE_WEIGHT * angle_loss(mine, taught)


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the distances of all pairs, each divided by the mean distance of different examples."""
    return smooth_l1_loss(_relative_distances(student), _relative_distances(teacher))


def _relative_distances(features: Tensor) -> Tensor:
    distances = torch.cdist(features, features)
    pairs = max(1, len(features) * (len(features) - 1))
    return distances / (distances.sum() / pairs).clamp_min(_tiny(features))


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss between the cosines of the angles that every three examples form."""
    return smooth_l1_loss(cosines(student), cosines(teacher))


def cosines(features: Tensor) -> Tensor:
    """Of the angle at j between i and k, of shape (j, i, k); 0 where two of them are the same.

    From the products of all pairs: differences of all pairs would take memory for each feature.
    """
    centred = features - features.mean(dim=0)
    products, distances = centred @ centred.T, torch.cdist(centred, centred)
    at = products.diagonal()[:, None, None]
    between = products[None, :, :] - products[:, :, None] - products[:, None, :] + at
    lengths = distances[:, :, None] * distances[:, None, :]
    return torch.where(lengths > 0, between / lengths.clamp_min(_tiny(features)), 0.0)


def _tiny(features: Tensor) -> float:
    return torch.finfo(features.dtype).tiny
