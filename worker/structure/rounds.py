"""Structured pruning in rounds, with training after each."""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import ceil

from app.core.recipes import StructuredPruning
from app.core.recipes.structured_pruning import PruningTarget
from worker.archives.joined import joined, separated
from worker.network import Network
from worker.run import Run
from worker.structure.groups import GroupKey
from worker.structure.pruning import prune
from worker.structure.search import cost_of
from worker.training import recovery_objective, train
from worker.training.pruned_weights import PrunedWeights


def prune_in_rounds(step: StructuredPruning, network: Network, run: Run) -> Network:
    """A new network; `network` stays as it is."""
    network = replace(network, module=deepcopy(network.module))
    cost = cost_of(network, step.target) if step.target else 0
    widths: dict[GroupKey, int] = {}
    for part in step.schedule.parts:
        network = _pruned(_of_round(step, part, cost), network, run, widths)
        _train(step, network, run)
    return network


def _of_round(step: StructuredPruning, part: float, cost: int) -> StructuredPruning:
    """The same step for a part of its amount: all that is to be gone after the round."""
    if step.target is not None:
        ((name, wanted),) = step.target.model_dump(exclude_none=True).items()
        target = PruningTarget(**{name: ceil(cost - part * (cost - wanted))})
        return step.model_copy(update={"target": target})
    if step.ratios is not None:
        return step.model_copy(update={"ratios": {name: part * ratio for name, ratio in step.ratios.items()}})
    return step.model_copy(update={"ratio": part * step.amount})


def _pruned(step: StructuredPruning, network: Network, run: Run, widths: dict[GroupKey, int]) -> Network:
    if network.keeps_its_forward:
        return separated(network, prune(step, joined(network), run, widths).module)
    return prune(step, network, run, widths)


def _train(step: StructuredPruning, network: Network, run: Run) -> None:
    options = step.schedule.training
    if options is not None:
        hold = partial(PrunedWeights(network).hold_in, network.module)
        train(network.module, options, recovery_objective(run), run, after_step=hold, message="Training between rounds")
