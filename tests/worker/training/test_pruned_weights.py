import copy

import pytest
import torch

from app.core.recipes import FineTuning, MagnitudePruning, SparsityTraining
from tests.worker.training.tasks import network, run_for
from worker.network import Network
from worker.techniques import apply


def pruned() -> Network:
    given = network()
    step = MagnitudePruning(sparsity=0.6)
    after = apply(step, given, run_for(given))
    return Network(after.module, given.inputs, steps=(step,))


def zeros(given: Network) -> list[torch.Tensor]:
    return [parameter == 0 for parameter in given.module.parameters() if parameter.ndim == 2]


@pytest.mark.parametrize(
    "step",
    [
        FineTuning(optimizer="sgd", momentum=0.9, weight_decay=0.1, learning_rate=0.05),
        FineTuning(optimizer="adam", weight_decay=0.1, learning_rate=0.01, validation=0),
        FineTuning(optimizer="adamw", learning_rate=0.01),
        FineTuning(optimizer="adamw", learning_rate=0.01, start="scratch"),
        SparsityTraining(learning_rate=0.01),
    ],
    ids=["sgd", "adam", "adamw", "scratch", "sparsity_training"],
)
def test_zeros_stay_and_others_move(step) -> None:
    given = pruned()
    after = apply(step, given, run_for(given))
    for mask, now, before in zip(zeros(given), zeros(after), zeros(pruned()), strict=True):
        assert mask.float().mean() > 0.4
        assert torch.equal(mask, before)
        assert torch.equal(mask, now)
    assert not torch.equal(after.module.get_parameter("0.weight"), given.module.get_parameter("0.weight"))


def test_zeros_that_no_step_pruned_are_trained() -> None:
    given = network()
    with torch.no_grad():
        given.module.get_parameter("0.weight")[:, 0] = 0
    after = apply(FineTuning(learning_rate=0.01), copy.deepcopy(given), run_for(given))
    assert (after.module.get_parameter("0.weight")[:, 0] == 0).float().mean() < 0.5
