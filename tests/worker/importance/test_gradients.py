import numpy as np
import pytest
import torch
from torch import nn

from tests.worker.importance.runs import network_of, run_over
from worker.importance.gradients import loss_gradients


def two_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


X = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
LABELS = {
    "classes": np.arange(12) % 3,
    "targets": np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32),
    "none": None,
}


def loss_by_hand(answers: torch.Tensor, label: object) -> torch.Tensor:
    if label is None:
        return answers.square().sum() / 2
    if isinstance(label, np.integer):
        return -torch.log_softmax(answers, -1)[0, int(label)]
    return (answers[0] - torch.from_numpy(label)).square().mean()


@pytest.mark.parametrize("kind", LABELS)
def test_gradients_are_averages_over_single_examples(kind: str) -> None:
    labels, network = LABELS[kind], network_of(two_layers(), (5,))
    by_example = []
    for position, row in enumerate(X):
        module = two_layers()
        loss_by_hand(module(torch.from_numpy(row[None])), None if labels is None else labels[position]).backward()
        by_example.append(module[0].weight.grad)
    stacked = torch.stack(by_example)

    found = loss_gradients(network, run_over(network, X, labels))

    torch.testing.assert_close(found.mean["0.weight"], stacked.mean(0))
    torch.testing.assert_close(found.mean_absolute["0.weight"], stacked.abs().mean(0))
    torch.testing.assert_close(found.mean_square["0.weight"], stacked.square().mean(0))


def test_the_network_is_left_without_gradients() -> None:
    network = network_of(two_layers(), (5,))
    loss_gradients(network, run_over(network, X))
    assert all(parameter.grad is None for parameter in network.module.parameters())


def test_no_more_examples_than_asked_are_read_and_the_seed_draws_them() -> None:
    network = network_of(two_layers(), (5,))

    def found(seed: int, examples: int) -> torch.Tensor:
        return loss_gradients(network, run_over(network, X, seed=seed), examples).mean["0.weight"]

    assert torch.equal(found(0, 4), found(0, 4))
    assert not torch.equal(found(0, 4), found(1, 4))
    torch.testing.assert_close(found(0, 12), found(1, 1000))


def test_sequences_of_classes_and_single_scores_have_losses_too() -> None:
    sequence = network_of(nn.Linear(5, 3), ("time", 5))
    run = run_over(sequence, X.reshape(4, 3, 5), np.arange(12).reshape(4, 3) % 3)
    assert loss_gradients(sequence, run).mean["weight"].abs().sum() > 0
    single = network_of(nn.Linear(5, 1), (5,))
    assert loss_gradients(single, run_over(single, X, np.arange(12) % 2)).mean["weight"].abs().sum() > 0


def test_a_tied_weight_is_found_once_with_both_its_gradients() -> None:
    tied = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5))
    tied[2].weight = tied[0].weight
    network = network_of(tied, (5,))
    found = loss_gradients(network, run_over(network, X))
    assert set(found.mean) == {"0.weight", "0.bias", "2.bias"}
    tied(torch.from_numpy(X)).square().sum().div(2 * len(X)).backward()
    torch.testing.assert_close(found.mean["0.weight"], tied[0].weight.grad)
