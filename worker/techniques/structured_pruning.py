"""Structured pruning: see `worker/structure`."""

from app.core.recipes import StructuredPruning
from worker.network import Network
from worker.run import Run
from worker.structure.pruning import prune
from worker.techniques import apply


@apply.register
def structured_pruning(step: StructuredPruning, network: Network, run: Run) -> Network:
    return prune(step, network, run)
