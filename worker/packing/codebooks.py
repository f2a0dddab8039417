"""Levels that lie where the weights are: 2**bits values for each layer."""

import torch
from torch import Tensor

from worker.packing.packed import Codebook

_MOST_ROUNDS = 100


def clustered(weight: Tensor, bits: int) -> Codebook:
    """K-means in one dimension, from evenly spaced levels (Han et al., Deep Compression, 2016): a weight has the
    nearest level, and a level is the mean of its weights. An empty one stays where it is."""
    values, order = weight.detach().flatten().double().sort()
    levels = torch.linspace(float(values[0]), float(values[-1]), 2**bits, dtype=torch.float64)
    for _ in range(_MOST_ROUNDS):
        before = levels
        levels = _means(values, _borders_between(values, levels), levels).sort().values
        if torch.equal(before, levels):
            break
    return _codebook(weight, order, _borders_between(values, levels), levels, bits)


def bins_at_their_means(weight: Tensor, bits: int) -> Codebook:
    """Mean-rounding: bins of one width from the smallest weight to the largest; each weight becomes the mean of its
    bin. The level of an empty bin is its middle."""
    values, order = weight.detach().flatten().double().sort()
    edges = torch.linspace(float(values[0]), float(values[-1]), 2**bits + 1, dtype=torch.float64)
    borders = _positions(values, edges[1:-1])
    levels = _means(values, borders, (edges[1:] + edges[:-1]) / 2)
    return _codebook(weight, order, borders, levels, bits)


def _borders_between(values: Tensor, levels: Tensor) -> Tensor:
    return _positions(values, (levels[1:] + levels[:-1]) / 2)


def _positions(values: Tensor, edges: Tensor) -> Tensor:
    """Where in the sorted values each bin begins, and where the last one ends."""
    inside = torch.searchsorted(values, edges)
    return torch.cat([inside.new_zeros(1), inside, inside.new_full((1,), len(values))])


def _means(values: Tensor, borders: Tensor, otherwise: Tensor) -> Tensor:
    sums = torch.cat([values.new_zeros(1), values.cumsum(0)])
    members = borders.diff()
    return torch.where(members > 0, sums[borders].diff() / members.clamp_min(1), otherwise)


def _codebook(weight: Tensor, order: Tensor, borders: Tensor, levels: Tensor, bits: int) -> Codebook:
    codes = torch.empty(weight.numel(), dtype=torch.uint8)
    codes[order] = torch.arange(2**bits).repeat_interleave(borders.diff()).to(torch.uint8)
    return Codebook(codes.reshape(weight.shape), levels.float(), bits)
