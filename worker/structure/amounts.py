"""How many units each group loses: the same fraction of each, by pattern, or ranked together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil, floor

import torch
from torch import Tensor, nn

from app.core.recipes import StructuredPruning
from app.core.recipes.structured_pruning import Criterion
from worker.structure.groups import Group

# Ranked together, a group could lose all it has; what is left of one is never less than this.
LEAST_KEPT = 0.1
# Fractions, which mean the same in every layer.
COMPARABLE: frozenset[Criterion] = frozenset({"lamp", "apoz", "random", "reconstruction_error"})


@dataclass(frozen=True)
class Ranked:
    """A group, how much each of its units matters, and the width that it had before earlier rounds, of which ratios
    are fractions."""

    group: Group
    scores: Tensor
    width: int

    def still_to_lose(self, ratio: float) -> int:
        return max(0, _fraction(ratio, self.width) - (self.width - len(self.group)))

    @property
    def most(self) -> int:
        return max(0, len(self.group) - ceil(LEAST_KEPT * self.width))


def removed_at(ratio: float, step: StructuredPruning, ranked: Sequence[Ranked], module: nn.Module) -> list[int]:
    """By the step's `ratios` where it has some, else by `ratio`."""
    if step.ratios is not None:
        return [one.still_to_lose(_ratio_of(one.group, step.ratios)) for one in ranked]
    if step.scope == "layer":
        return [one.still_to_lose(ratio) for one in ranked]
    counts = [0] * len(ranked)
    for alike in _isomorphic(ranked, module) if step.scope == "isomorphic" else [list(range(len(ranked)))]:
        found = _ranked_together(ratio, [ranked[position] for position in alike], step.criterion in COMPARABLE)
        for position, count in zip(alike, found, strict=True):
            counts[position] = count
    return counts


def _fraction(ratio: float, width: int) -> int:
    """Rounded down, but for what floating point loses."""
    return floor(ratio * width + 1e-9)


def _ratio_of(group: Group, ratios: Mapping[str, float]) -> float:
    """The first pattern that matches one of its layers counts."""
    return next((r for pattern, r in ratios.items() if any(fnmatchcase(name, pattern) for name in group.layers)), 0.0)


def _ranked_together(ratio: float, ranked: Sequence[Ranked], comparable: bool) -> list[int]:
    """Scores that aren't comparable are made multiples of their group's mean, since layers' weights differ in size."""
    means = [1.0 if comparable else one.scores.mean().clamp_min(1e-30) for one in ranked]
    relative = torch.cat([one.scores / mean for one, mean in zip(ranked, means, strict=True)])
    owners = torch.tensor([number for number, one in enumerate(ranked) for _ in one.group.atoms])
    width = sum(one.width for one in ranked)
    lost = owners[relative.argsort(stable=True)[: max(0, _fraction(ratio, width) - (width - len(relative)))]]
    counts = torch.bincount(lost, minlength=len(ranked)).tolist()
    return [min(count, one.most) for count, one in zip(counts, ranked, strict=True)]


def _isomorphic(ranked: Sequence[Ranked], module: nn.Module) -> list[list[int]]:
    """Positions of the groups of each structure: Fang et al., Isomorphic Pruning for Vision Models, 2024."""
    alike = defaultdict(list)
    for position, one in enumerate(ranked):
        structure = sorted((type(module.get_submodule(of.layer)).__name__, of.role) for of in one.group.slices)
        alike[one.group.kind, tuple(structure)].append(position)
    return list(alike.values())
