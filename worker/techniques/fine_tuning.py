"""Training on labels: fine-tuning from the weights that there are, or retraining from new ones."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

from app.core.recipes import FineTuning
from worker.layer_selection import selected
from worker.network import Network
from worker.run import Run
from worker.techniques import apply
from worker.training import recovery_objective, train
from worker.training.freezing import trainable_layers
from worker.training.initialization import initialize
from worker.training.pruned_weights import PrunedWeights


@apply.register
def fine_tuning(step: FineTuning, network: Network, run: Run) -> Network:
    module = deepcopy(network.module)
    pruned = PrunedWeights(network)
    layers = selected(step, trainable_layers(module)) if step.only or step.exclude else None
    if step.start == "scratch":
        initialize(module, layers, run.seed)
        pruned.hold_in(module)
    train(
        module,
        step,
        recovery_objective(run, label_smoothing=step.label_smoothing),
        run,
        after_step=partial(pruned.hold_in, module),
        message="Retraining" if step.start == "scratch" else "Fine-tuning",
        layers=layers,
    )
    return replace(network, module=module)
