"""Pruning of single weights and blocks: Han et al., Learning both Weights and Connections for Efficient Neural
Networks, 2015. What decides which of them go is in `worker/sparsity`."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from app.core.errors import Problem
from app.core.recipes import MagnitudePruning
from worker.layer_selection import selected
from worker.network import Network
from worker.run import Run
from worker.sparsity.amounts import weights_to_remove
from worker.sparsity.criteria import weight_scores
from worker.sparsity.ranking import Ranking
from worker.sparsity.weights import Tensors, prunable_layers, weights_of
from worker.techniques import apply
from worker.training import recovery_objective, train
from worker.training.pruned_weights import PrunedWeights

ZEROS_ARE_NOT_FASTER = (
    "Pruned weights are zeros: the state_dict format leaves them out, other files only compress better, and no file "
    "runs faster for them."
)


@apply.register
def magnitude_pruning(step: MagnitudePruning, network: Network, run: Run) -> Network:
    """What a round has removed stays removed: nothing comes back in later rounds."""
    pruned = replace(network, module=deepcopy(network.module), steps=(*network.steps, step))
    weights = weights_of(selected(step, prunable_layers(pruned.module)), pruned.module)
    if not weights:
        raise _nothing_to_prune()
    for part in step.schedule.parts:
        _remove_weights(step, pruned, run, weights, part)
        _train(step, pruned, run)
    run.warn(ZEROS_ARE_NOT_FASTER)
    return replace(pruned, steps=network.steps)


def _nothing_to_prune() -> Problem:
    return Problem(
        "The step may touch no layer that has weights in two or more dimensions; biases, norms and parameters outside "
        "of layers are left as they are. Leave the step out, or widen `only` and `exclude`.",
        code="nothing_to_prune",
        title="Nothing was pruned",
    )


def _remove_weights(
    step: MagnitudePruning, network: Network, run: Run, weights: Mapping[str, Tensor], part: float
) -> None:
    values = {name: weight.detach().float() for name, weight in weights.items()}
    scores = weight_scores(step, network, run, values)
    removed = weights_to_remove(step, Ranking(step, scores, values), network.module, part)
    _warn_of_emptied_layers(weights, removed, run)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.masked_fill_(removed[name], 0)


def _train(step: MagnitudePruning, network: Network, run: Run) -> None:
    options = step.schedule.training
    if options is None:
        return
    hold = partial(PrunedWeights(network).hold_in, network.module)
    train(network.module, options, recovery_objective(run), run, after_step=hold, message="Training between rounds")


def _warn_of_emptied_layers(weights: Mapping[str, Tensor], removed: Tensors, run: Run) -> None:
    emptied = [name for name, weight in weights.items() if removed[name].all() and weight.any()]
    if emptied:
        run.warn(
            f"Nothing is left of {', '.join(emptied[:5])}: all of its weights were among the least important. If the "
            "answers are no longer of use, remove less, choose `scope: layer`, or leave the layer out with `exclude`."
        )
