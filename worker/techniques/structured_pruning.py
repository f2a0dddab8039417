"""Structured pruning: see `worker/structure`."""

from app.core.recipes import StructuredPruning
from worker.archives.joined import joined, separated
from worker.network import Network
from worker.run import Run
from worker.structure.pruning import prune
from worker.techniques import apply


@apply.register
def structured_pruning(step: StructuredPruning, network: Network, run: Run) -> Network:
    if network.keeps_its_forward:
        return separated(network, prune(step, joined(network), run).module)
    return prune(step, network, run)
