"""Structured pruning of one network: which units there are, which matter least, and the network without them."""

from collections.abc import Collection

from app.core.errors import Invalid
from app.core.recipes import StructuredPruning
from worker.network import Network
from worker.run import Run
from worker.structure.candidates import Candidates
from worker.structure.groups import Group, GroupKey
from worker.structure.ladder import RUNGS, taken
from worker.structure.search import meeting

TOO_LITTLE = (
    "Structured pruning took nothing away: the fraction asked for is less than one unit of every layer. Ask for more, "
    "or choose `scope: global`."
)


def prune(step: StructuredPruning, network: Network, run: Run, widths: dict[GroupKey, int] | None = None) -> Network:
    """The network without the units that the step takes away, verified; the network itself where nothing can go.

    `widths` are those that groups had before the first of several rounds, of which the step's amounts are: empty in
    the first, which fills them in.

    Raises Invalid where the step can't be done as it stands: a pattern or a criterion that fits no layer, a target
    that is out of reach.
    """
    run.progress(0.0, "Looking for units that can go together")
    widths = {} if widths is None else widths
    candidates = Candidates(step, network, run, widths)
    if not candidates.scores:
        raise _nothing_to_prune(step, candidates.structure.unfollowed)
    for group in candidates.groups:
        widths.setdefault(group.key, len(group))
    for rung in RUNGS:
        groups = taken(rung, list(candidates.scores))
        pruned = _pruned(candidates, groups)
        if pruned is None:
            pruned = _pruned(candidates, candidates.removable(groups))
        if pruned is not None:
            _tell_of(rung.name, run)
            return pruned
    run.warn("Structured pruning took nothing away: no smaller network ran and answered as it should.")
    return network


def _pruned(candidates: Candidates, groups: list[Group]) -> Network | None:
    """The least important units of `groups` taken away, or None where what is left is not what it should be."""
    if not groups:
        return None
    target, ratio = candidates.step.target, candidates.step.amount
    if target is not None:
        ratio = meeting(target, lambda at: candidates.without(candidates.least(at, groups)))
    atoms = candidates.least(ratio, groups)
    if not atoms:
        candidates.run.warn(TOO_LITTLE)
    pruned = candidates.verified(atoms, groups)
    if pruned is not None:
        for group in groups:
            after = len(group) - len(atoms.intersection(group.atoms))
            candidates.run.detail("Units", layer=group.name, kind=group.kind, before=len(group), after=after)
    return None if pruned is None else candidates.reconstructed(pruned, atoms)


def _tell_of(rung: str, run: Run) -> None:
    if rung != RUNGS[0].name:
        run.warn(f"Structured pruning changed {rung} only: with more, the network didn't answer as it should.")


def _nothing_to_prune(step: StructuredPruning, unfollowed: Collection[str]) -> Invalid:
    listed = ", ".join(sorted(unfollowed)[:10])
    return Invalid(
        f"No layer has units of the kind {step.unit!r} that the criterion {step.criterion!r} can judge. Outputs keep "
        "their width, and so does all that is bound to them"
        + (f" or goes through operators in which units can't be told apart ({listed})" if listed else "")
        + ". Take another `unit` or `criterion`, widen `only`, or use magnitude_pruning.",
        code="nothing_to_prune",
        title="Nothing can be pruned",
    )
