"""Which units go: the least important ones, a fraction of each group or of all that are ranked together."""

from collections import defaultdict
from collections.abc import Sequence
from math import ceil, floor

import torch
from torch import Tensor, nn

from app.core.recipes.structured_pruning import Scope
from worker.structure.groups import Group

# Ranked together, a group could lose all it has; what is left of one is never less than this.
LEAST_KEPT = 0.1


def least_important(
    groups: Sequence[Group], scores: Sequence[Tensor], removed: Sequence[int], round_to: int = 1
) -> set[int]:
    """The atoms of the `removed[i]` units of lowest score of each group, or fewer: at least one unit stays, cells of a
    recurrent layer stay equally wide, and `round_to` divides what stays where it can."""
    counts = [
        _rounded(group, min(count, len(group) - 1), round_to) for group, count in zip(groups, removed, strict=True)
    ]
    counts = _equalized(groups, counts, round_to)
    return {
        group.atoms[unit]
        for group, score, count in zip(groups, scores, counts, strict=True)
        for unit in score.argsort(stable=True)[:count].tolist()
    }


def _rounded(group: Group, removed: int, round_to: int) -> int:
    if round_to == 1 or group.kind == "head":
        return removed
    return max(0, len(group) - ceil((len(group) - removed) / round_to) * round_to)


def _equalized(groups: Sequence[Group], counts: Sequence[int], round_to: int) -> list[int]:
    together = defaultdict(list)
    for group, count in zip(groups, counts, strict=True):
        together[group.equal_with].append(count)
    means = {key: floor(sum(of) / len(of)) for key, of in together.items() if key is not None}
    return [
        count if group.equal_with is None else _rounded(group, means[group.equal_with], round_to)
        for group, count in zip(groups, counts, strict=True)
    ]


def removed_at(
    ratio: float, scope: Scope, groups: Sequence[Group], scores: Sequence[Tensor], module: nn.Module
) -> list[int]:
    """How many units each group loses."""
    if scope == "layer":
        return [floor(ratio * len(group) + 1e-9) for group in groups]
    if scope == "global":
        return _ranked_together(ratio, groups, scores)
    counts = [0] * len(groups)
    for alike in _isomorphic(groups, module):
        found = _ranked_together(ratio, [groups[i] for i in alike], [scores[i] for i in alike])
        for position, count in zip(alike, found, strict=True):
            counts[position] = count
    return counts


def _ranked_together(ratio: float, groups: Sequence[Group], scores: Sequence[Tensor]) -> list[int]:
    """Scores are compared in multiples of their group's mean, since layers' weights differ in size."""
    relative = torch.cat([score / score.mean().clamp_min(1e-30) for score in scores])
    owner = torch.tensor([number for number, group in enumerate(groups) for _ in group.atoms])
    lost = owner[relative.argsort(stable=True)[: floor(ratio * len(relative) + 1e-9)]]
    counts = torch.bincount(lost, minlength=len(groups)).tolist()
    return [min(count, floor((1 - LEAST_KEPT) * len(group))) for group, count in zip(groups, counts, strict=True)]


def _isomorphic(groups: Sequence[Group], module: nn.Module) -> list[list[int]]:
    """Positions of the groups of each structure: Fang et al., Isomorphic Pruning for Vision Models, 2024."""
    alike = defaultdict(list)
    for position, group in enumerate(groups):
        signature = sorted((type(module.get_submodule(one.layer)).__name__, one.role) for one in group.slices)
        alike[group.kind, tuple(signature)].append(position)
    return list(alike.values())
