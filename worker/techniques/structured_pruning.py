"""Structured pruning: what it stands on is in `worker/structure`."""

from app.core.recipes import StructuredPruning
from worker.network import Network
from worker.run import Run
from worker.structure.rounds import prune_in_rounds
from worker.techniques import apply


@apply.register
def structured_pruning(step: StructuredPruning, network: Network, run: Run) -> Network:
    return prune_in_rounds(step, network, run)
