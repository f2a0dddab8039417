"""Structured pruning: what it stands on is in `worker/structure`."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.conv import _ConvNd

from app.core.recipes import StructuredPruning
from app.core.recipes.structured_pruning import QUICK_CHANNELS
from worker.network import Network
from worker.run import Run
from worker.structure.rounds import prune_in_rounds
from worker.techniques import apply

SLOW = (
    "Of {count} convolutions a number of channels is left that {quick} doesn't divide. ONNX Runtime computes those by "
    "a slower method, at times slower than before pruning: `round_to` of {quick} or 8 avoids it."
)


@apply.register
def structured_pruning(step: StructuredPruning, network: Network, run: Run) -> Network:
    pruned = prune_in_rounds(step, network, run)
    channels = zip(_channels(network.module), _channels(pruned.module), strict=True)
    made_slow = [after for before, after in channels if before % QUICK_CHANNELS == 0 and after % QUICK_CHANNELS != 0]
    if made_slow and "onnx" in run.formats:
        run.warn(SLOW.format(count=len(made_slow), quick=QUICK_CHANNELS))
    return pruned


def _channels(module: nn.Module) -> Iterator[int]:
    return (layer.out_channels for layer in module.modules() if isinstance(layer, _ConvNd))
