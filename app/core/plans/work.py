"""How much arithmetic a job's training is, in multiply-accumulates."""

from collections.abc import Sequence

from app.core.expected import ExpectedNetwork
from app.core.recipes import Step
from app.core.recipes.training import TrainingOptions

# Forward, and backward for the weights and for what they read.
PASSES = 3
# Moving a number to memory and back takes as long as so many multiply-accumulates; an update of all weights, too.
OF_ACTIVATION, OF_UPDATE = 100, 40_000_000
BATCH_SIZE = 64


def training_work(step: Step, network: ExpectedNetwork, examples: int, epochs: int) -> float:
    """Of so many epochs of the step, on the network that it leaves."""
    each = PASSES * (network.macs + OF_ACTIVATION * network.activations)
    return epochs * (examples * each + examples / batch_size(step) * OF_UPDATE)


def batch_size(step: Step) -> int:
    return step.batch_size if isinstance(step, TrainingOptions) else BATCH_SIZE


def after_each(network: ExpectedNetwork, steps: Sequence[Step]) -> list[ExpectedNetwork]:
    networks = []
    for step in steps:
        network = step.expected(network)
        networks.append(network)
    return networks
