"""The units of a network that a step may take away, how much they matter, and the network without some of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor, fx

from app.core.recipes import StructuredPruning
from worker.layer_selection import selected
from worker.network import Network
from worker.run import Run
from worker.structure.amounts import Ranked, removed_at
from worker.structure.analysis import Structure, analyse
from worker.structure.criteria import Evidence, scores
from worker.structure.damage import Damage
from worker.structure.groups import Group, GroupKey, find_groups
from worker.structure.reconstruction import GramOf, reconstruct
from worker.structure.removal import masked, without
from worker.structure.selection import least_important
from worker.structure.verification import answers_alike, answers_equal

BATCHES = (2, 5)
# What a network that was cut wrongly fails with when it is run.
BROKEN = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AssertionError)


@dataclass(frozen=True)
class Candidates:
    """`widths` are those that groups had before earlier rounds."""

    step: StructuredPruning
    network: Network
    run: Run
    widths: Mapping[GroupKey, int]

    @property
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
        """Of the unit asked for, whose layers no pattern leaves out."""
        kind = "channel" if self.step.unit == "filter" else self.step.unit
        found = [group for group in find_groups(self.module, self.structure) if kind in ("auto", group.kind)]
        chosen = set(selected(self.step, dict.fromkeys(layer for group in found for layer in group.layers)))
        return [group for group in found if chosen.issuperset(group.layers)]

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.network, self.run, "input" if self.step.unit == "channel" else "output")

    @cached_property
    def scores(self) -> dict[Group, Tensor]:
        """Of the groups that the criterion can judge."""
        judged = ((group, scores(group, self.step.criterion, self.evidence)) for group in self.groups)
        found = {group: of for group, of in judged if of is not None}
        if self.step.criterion == "reconstruction_error" and self.step.scope != "layer":
            return Damage(self.network, self.run, self._cut, self.step.target).per_cost(found)
        return found

    def _cut(self, atoms: Collection[int]) -> Network | None:
        try:
            return self._solved(self.without(atoms), atoms, self.evidence.grams.to_judge)
        except BROKEN:
            return None

    def least(self, ratio: float, groups: Sequence[Group]) -> set[int]:
        """The atoms that go."""
        ranked = [Ranked(group, self.scores[group], self.widths.get(group.key, len(group))) for group in groups]
        return least_important(ranked, removed_at(ratio, self.step, ranked, self.module), self.step.round_to)

    def without(self, atoms: Collection[int]) -> Network:
        return replace(self.network, module=without(self.module, self.structure, atoms, self.examples[BATCHES[0]]))

    def verified(self, atoms: Collection[int], groups: Sequence[Group]) -> Network | None:
        """The network without them, if it runs and answers in the same shape, and where that can be said exactly, as
        the network in which their weights are zero."""
        exact = {atom for group in groups if group.exact for atom in group.atoms} & set(atoms)
        try:
            pruned = self.without(atoms)
            alone = pruned if exact == set(atoms) else self.without(exact)
            zeroed = masked(self.module, self.structure, exact)
            right = answers_alike(pruned.module, self.module, self.examples)
            return pruned if right and answers_equal(alone.module, zeroed, self.examples) else None
        except BROKEN:
            return None

    def reconstructed(self, pruned: Network, atoms: Collection[int]) -> Network:
        """Changes the weights of `pruned`, the network without `atoms`, where the step asks for it."""
        if self.step.reconstruction == "none":
            return pruned
        return self._solved(pruned, atoms, self.evidence.grams.to_solve)

    def _solved(self, pruned: Network, atoms: Collection[int], gram_of: GramOf) -> Network:
        reconstruct(pruned.module, self.module, self.structure, frozenset(atoms), gram_of)
        return pruned

    def removable(self, groups: Sequence[Group]) -> list[Group]:
        """Those of which one unit can go, each tried alone."""
        return [group for group in groups if self.verified(group.atoms[:1], [group]) is not None]
