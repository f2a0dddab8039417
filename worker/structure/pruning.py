"""Structured pruning of one network: which units there are, which matter least, and the network without them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property

from torch import Tensor, fx

from app.core.errors import Invalid
from app.core.recipes import StructuredPruning
from worker.network import Network
from worker.run import Run
from worker.structure.analysis import Structure, analyse
from worker.structure.criteria import Evidence, scores
from worker.structure.groups import Group, find_groups
from worker.structure.ladder import RUNGS, taken
from worker.structure.removal import masked, without
from worker.structure.search import meeting
from worker.structure.selection import least_important, removed_at
from worker.structure.verification import answers_alike, answers_equal
from worker.techniques.selection import selected

BATCHES = (2, 5)
# What a network that was cut wrongly fails with when it is run.
BROKEN = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AssertionError)


@dataclass(frozen=True)
class Pruning:
    """A step that is applied to a network: everything about it that doesn't depend on how much goes."""

    step: StructuredPruning
    network: Network
    run: Run

    @cached_property
    def module(self) -> fx.GraphModule:
        return self.network.module

    @cached_property
    def examples(self) -> Mapping[int, tuple[Tensor, ...]]:
        return {batch: self.network.parts[0].examples(batch) for batch in BATCHES}

    @cached_property
    def structure(self) -> Structure:
        return analyse(self.module, self.examples[BATCHES[0]])

    @cached_property
    def groups(self) -> list[Group]:
        return find_groups(self.module, self.structure)

    @cached_property
    def scores(self) -> dict[Group, Tensor]:
        """Of the groups that the criterion can judge."""
        evidence = Evidence(self.network, self.run, "input" if self.step.unit == "channel" else "output")
        judged = {group: scores(group, self.step.criterion, evidence) for group in self.chosen}
        return {group: score for group, score in judged.items() if score is not None}

    @cached_property
    def chosen(self) -> list[Group]:
        """Those of the unit asked for, whose layers no pattern leaves out."""
        kind = {"filter": "channel"}.get(self.step.unit, self.step.unit)
        of_kind = [group for group in self.groups if kind in ("auto", group.kind)]
        layers = selected(self.step, dict.fromkeys(layer for group in of_kind for layer in group.layers))
        return [group for group in of_kind if set(group.layers) <= set(layers)]

    def atoms_at(self, ratio: float, groups: Sequence[Group]) -> set[int]:
        of = [self.scores[group] for group in groups]
        return least_important(groups, of, self._removed(ratio, groups, of), self.step.round_to)

    def _removed(self, ratio: float, groups: Sequence[Group], of: Sequence[Tensor]) -> list[int]:
        if self.step.ratios is None:
            return removed_at(ratio, self.step.scope, groups, of, self.module)
        return [int(_ratio_of(group, self.step.ratios) * len(group) + 1e-9) for group in groups]

    def cut(self, atoms: Collection[int]) -> Network:
        return replace(self.network, module=without(self.module, self.structure, atoms, self.examples[BATCHES[0]]))

    def is_right(self, atoms: Collection[int], groups: Sequence[Group]) -> bool:
        """Whether the network without them runs and answers in the same shape, and where that can be said exactly
        as the network in which their weights are zero."""
        exact = {atom for group in groups if group.exact for atom in group.atoms} & set(atoms)
        try:
            runs = answers_alike(self.cut(atoms).module, self.module, self.examples)
            zeroed = masked(self.module, self.structure, exact)
            return runs and answers_equal(self.cut(exact).module, zeroed, self.examples)
        except BROKEN:
            return False

    def right_groups(self, groups: Sequence[Group]) -> list[Group]:
        return [group for group in groups if self.is_right(group.atoms[:1], [group])]


def _ratio_of(group: Group, ratios: Mapping[str, float]) -> float:
    """The first pattern that matches one of its layers counts."""
    return next((r for pattern, r in ratios.items() if any(fnmatchcase(name, pattern) for name in group.layers)), 0.0)


def prune(step: StructuredPruning, network: Network, run: Run) -> Network:
    """The network without the units that the step takes away, verified; the network itself where nothing can be.

    Raises Invalid where the step can't be done as it stands: a pattern or a criterion that no layer fits, a target
    that is out of reach.
    """
    pruning = Pruning(step, network, run)
    if not pruning.chosen or not pruning.scores:
        raise _nothing_to_prune(pruning)
    for rung in RUNGS:
        groups = taken(rung, list(pruning.scores))
        if not groups:
            continue
        atoms = _atoms(pruning, groups)
        if not pruning.is_right(atoms, groups):
            groups = pruning.right_groups(groups)
            atoms = _atoms(pruning, groups) if groups else set()
        if atoms and pruning.is_right(atoms, groups):
            _tell(pruning, rung.name, groups, atoms)
            return pruning.cut(atoms)
    run.warn("Structured pruning took nothing away: no smaller network answered as it should.")
    return network


def _atoms(pruning: Pruning, groups: Sequence[Group]) -> set[int]:
    step = pruning.step
    if step.target is None:
        return pruning.atoms_at(step.amount, groups)
    return pruning.atoms_at(meeting(step.target, lambda ratio: pruning.cut(pruning.atoms_at(ratio, groups))), groups)


def _tell(pruning: Pruning, rung: str, groups: Sequence[Group], atoms: set[int]) -> None:
    for group in groups:
        after = len(group) - len(atoms & set(group.atoms))
        pruning.run.detail("Units", layer=group.name, kind=group.kind, before=len(group), after=after)
    if rung != RUNGS[0].name:
        pruning.run.warn(
            f"Structured pruning could change {rung} only: elsewhere the pruned network didn't answer as it should."
        )


def _nothing_to_prune(pruning: Pruning) -> Invalid:
    step = pruning.step
    return Invalid(
        f"No layer has units of the kind {step.unit!r} that the criterion {step.criterion!r} can judge. Outputs keep "
        "their width, and so does all that is bound to them. Take another `unit` or `criterion`, or widen `only`.",
        code="nothing_to_prune",
        title="Nothing can be pruned",
    )
