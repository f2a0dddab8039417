"""Scores -> the weights to remove, for an amount."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from app.core.recipes.pruning import KEPT_OF, MagnitudePruning
from worker.sparsity.patterns import least_of_neighbours, unit_scores, weights_of_units
from worker.sparsity.weights import Tensors

REMOVED_BEFORE = -1.0


@dataclass(frozen=True)
class _Group:
    """Units that are ranked together: `order` has their positions, the least important first; `most` of them may go."""

    names: tuple[str, ...]
    order: Tensor
    most: int


class Ranking:
    """The units (weights or blocks) in the order in which they go: over the whole network, or in each weight."""

    def __init__(self, step: MagnitudePruning, scores: Tensors, weights: Mapping[str, Tensor]) -> None:
        self._step, self._weights = step, weights
        judged = {name: _judged(step, scores[name], weights[name]) for name in weights}
        self._units = {name: unit_scores(step, one) for name, one in judged.items()}
        names = tuple(weights)
        self._groups = [self._group(group) for group in ([names] if step.scope == "global" else [(n,) for n in names])]

    def removed(self, fraction: float) -> Tensors:
        """By weight name the mask of the weights to remove: of every group this fraction of what may go."""
        masks: Tensors = {}
        for group in self._groups:
            chosen = torch.zeros(len(group.order), dtype=torch.bool)
            chosen[group.order[: round(fraction * group.most)]] = True
            parts = torch.split(chosen, [self._units[name].numel() for name in group.names])
            masks |= {name: self._mask(name, part) for name, part in zip(group.names, parts, strict=True)}
        return masks

    def below(self, threshold: float) -> Tensors:
        """The mask of the weights in units whose score is below the threshold."""
        return {name: self._mask(name, units < threshold) for name, units in self._units.items()}

    def _mask(self, name: str, chosen: Tensor) -> Tensor:
        return weights_of_units(self._step, chosen.view_as(self._units[name]), self._weights[name])

    def _group(self, names: tuple[str, ...]) -> _Group:
        scores = torch.cat([self._units[name].flatten() for name in names])
        sizes = torch.cat([unit_scores(self._step, self._weights[name].detach().abs()).flatten() for name in names])
        order = sizes.argsort(stable=True)  # among equals, such as those that no example reaches, the smallest
        order = order[scores[order].argsort(stable=True)]
        return _Group(names, order, int((scores < torch.inf).sum()))


def _judged(step: MagnitudePruning, scores: Tensor, weight: Tensor) -> Tensor:
    """What is zero already goes first, so that it counts as removed; what its pattern keeps never goes."""
    judged = scores.masked_fill(weight == 0, REMOVED_BEFORE)
    if step.pattern not in KEPT_OF:
        return judged
    return judged.masked_fill(~least_of_neighbours(step.pattern, judged), torch.inf)
