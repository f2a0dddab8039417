"""Training with a penalty on weights, channels or batch norms, before they are pruned."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from app.core.recipes import SparsityTraining
from worker.layer_selection import selected
from worker.network import Network, layers_of
from worker.run import Run
from worker.techniques import apply
from worker.training import Batch, recovery_objective, train
from worker.training.penalties import PENALTIES, LayerPenalty
from worker.training.pruned_weights import PrunedWeights


@apply.register
def sparsity_training(step: SparsityTraining, network: Network, run: Run) -> Network:
    """All weights are trained; the penalty is on the layers that the step selects."""
    module, pruned = deepcopy(network.module), PrunedWeights(network)
    penalty, named = PENALTIES[step.penalty], layers_of(module)
    layers = selected(step, [name for name, layer in named.items() if penalty(layer) > 0])
    before = {name: penalty(named[name]).item() for name in layers}
    objective = recovery_objective(run, label_smoothing=step.label_smoothing)

    def penalized(module: nn.Module, batch: Batch) -> Tensor:
        return objective(module, batch) + step.strength * _total(penalty, [named[name] for name in layers])

    train(
        module,
        step,
        penalized,
        run,
        after_step=partial(pruned.hold_in, module),
        message="Training for sparsity",
        keep="last",
    )
    for name in layers:
        run.detail("Penalty", layer=name, before=before[name], after=penalty(named[name]).item())
    return replace(network, module=module)


def _total(penalty: LayerPenalty, layers: Sequence[nn.Module]) -> Tensor:
    return torch.stack([penalty(layer) for layer in layers]).sum()
