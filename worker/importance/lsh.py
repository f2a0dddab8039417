"""Similarity by locality-sensitive hashing: Charikar, Similarity Estimation Techniques from Rounding Algorithms, 2002.

A row's signature says for each of many random hyperplanes through zero on which of its sides the row lies. Two rows at
an angle a differ in each bit with the probability a / pi, whatever their lengths.
"""

import math

import torch
from torch import Tensor

BITS = 512  # the angle is known to 0.07 radians
_ROWS_AT_ONCE = 1024


def redundancy(rows: Tensor, seed: int) -> Tensor:
    """For each row of `rows` (rows, features) the estimated cosine, 0..1, of its angle to the most similar of the
    larger rows (by Euclidean norm); negative ones count as 0. Of a group of copies only the largest isn't redundant.
    Shape (rows,)."""
    generator = torch.Generator().manual_seed(seed)
    hyperplanes = torch.randn(rows.shape[1], BITS, generator=generator)
    order = rows.norm(dim=1).argsort(descending=True, stable=True)
    signatures = (rows[order] @ hyperplanes > 0).float() * 2 - 1
    found = torch.zeros(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[order[part]] = _closest_before(signatures, start, signatures[part])
    return found


def _closest_before(signatures: Tensor, start: int, some: Tensor) -> Tensor:
    """For `some` of the signatures, those from `start` on, the cosine to the most similar of those before each."""
    agreement = some @ signatures[: start + len(some)].T / BITS
    earlier = torch.arange(agreement.shape[1]) < torch.arange(start, start + len(some)).unsqueeze(1)
    closest = agreement.masked_fill(~earlier, 0).amax(dim=1)
    return torch.sin(closest * math.pi / 2).clamp_min(0)
