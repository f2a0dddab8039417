"""Each criterion beside its formula, computed here from one example after another."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from app.core.recipes import MagnitudePruning
from app.core.recipes.pruning import FROM_DATA
from tests.worker.importance.runs import network_of, run_over
from worker.importance import stability
from worker.sparsity.criteria import JUDGES, weight_scores
from worker.sparsity.weights import prunable_layers, weights_of

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(16, 5)).astype(np.float32)
Y = np.arange(16) % 3


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))


def scores(criterion: str, layers: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    network = network_of(layers, (5,))
    step = MagnitudePruning(criterion=criterion)
    weights = weights_of(prunable_layers(network.module), network.module)
    return weight_scores(step, network, run_over(network, X, Y, seed), weights)


def loss(answers: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(answers, labels)


@cache
def gradients() -> Tensor:
    """Of the first weight, by example: (examples, 6, 5)."""
    layers = module()
    rows = [loss(layers(torch.from_numpy(X[n : n + 1])), torch.tensor([Y[n]])) for n in range(len(X))]
    return torch.stack([torch.autograd.grad(row, layers[0].weight)[0] for row in rows])


def weight() -> Tensor:
    return module()[0].weight.detach()


def second_order() -> Tensor:
    """w² E[g²] / 2, with the gradients by classes that the network draws by the seed."""
    layers, generator, total = module(), torch.Generator().manual_seed(0), torch.zeros(6, 5)
    for row in torch.from_numpy(X):
        answers = layers(row.unsqueeze(0))
        drawn = torch.multinomial(answers.detach().softmax(1), 1, generator=generator)[0]
        total += torch.autograd.grad(loss(answers, drawn), layers[0].weight)[0].square() / len(X)
    return weight().square() * total / 2


def perturbed_derivatives(kind: str) -> Tensor:
    """Of the loss or of the signed answers by the first weight, at each perturbed network: (draws, 6, 5)."""
    noises, signs = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    named, x, y = dict(module().named_parameters()), torch.from_numpy(X), torch.from_numpy(Y)
    found = []
    for _ in range(stability.PERTURBATIONS):
        noisy = {
            n: p.detach() * (1 + stability.NOISE * torch.randn(p.shape, generator=noises)) for n, p in named.items()
        }
        first = noisy["0.weight"].requires_grad_()
        answers = functional_call(module(), noisy, (x,))
        drawn = torch.randint(0, 2, answers.shape, generator=signs) * 2 - 1
        found.append(torch.autograd.grad(loss(answers, y) if kind == "loss" else (answers * drawn).sum(), first)[0])
    return torch.stack(found)


def closeness() -> Tensor:
    """The estimated cosine to the most similar longer row, from the signatures' bits one by one."""
    rows, lengths = weight(), weight().norm(dim=1)
    planes = torch.randn(5, 512, generator=torch.Generator().manual_seed(0))
    bits = rows @ planes > 0
    angles = {(i, j): float((bits[i] != bits[j]).float().mean()) * torch.pi for i in range(6) for j in range(6)}
    cosines = [max([np.cos(angles[i, j]) for j in range(6) if lengths[j] > lengths[i]], default=0) for i in range(6)]
    return torch.tensor(cosines, dtype=torch.float32).clamp_min(0)


FORMULAS = {
    "l1": lambda: weight().abs(),
    "l2": lambda: weight().square().sqrt(),
    "random": lambda: torch.rand(6, 5, generator=torch.Generator().manual_seed(0)),
    "gradient": lambda: (weight() * gradients()).abs().mean(0),
    "snip": lambda: (weight() * gradients().mean(0)).abs(),
    "wanda": lambda: weight().abs() * torch.from_numpy(X).norm(dim=0) / 4,
    "obd": second_order,
    "stability": lambda: weight().square() * perturbed_derivatives("answers").square().sum(0) / (16 * 64),
    "spread": lambda: weight().abs() * perturbed_derivatives("loss").std(0, correction=0),
    "lsh": lambda: weight().abs() * (1 - closeness()).unsqueeze(1),
}


@pytest.mark.parametrize("criterion", JUDGES)
def test_it_is_its_formula(criterion: str) -> None:
    found = scores(criterion, module())["0.weight"]
    torch.testing.assert_close(found, FORMULAS[criterion](), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("criterion", sorted(set(JUDGES) - {"random"}))
def test_an_unimportant_weight_is_ranked_last(criterion: str) -> None:
    layers = module()
    with torch.no_grad():
        layers[0].weight[2, 3] = 1e-7
    found = scores(criterion, layers)
    assert found["0.weight"].argmin() == 2 * 5 + 3
    assert found["0.weight"].min() < found["2.weight"].min()


@pytest.mark.parametrize("criterion", sorted(FROM_DATA))
def test_a_unit_that_nothing_reads_is_ranked_last_whatever_its_weights(criterion: str) -> None:
    layers = module()
    with torch.no_grad():
        layers[0].weight[4] = 5.0
        layers[2].weight[:, 4] = 0.0
    ranked = scores(criterion, layers)["0.weight"].sum(1)
    if criterion == "wanda":  # it sees what comes in, not what becomes of it
        assert ranked.argmin() != 4
    else:
        assert ranked.argmin() == 4


def test_a_copy_of_a_row_is_ranked_last_by_similarity() -> None:
    layers = module()
    with torch.no_grad():
        layers[0].weight[1] = 0.9 * layers[0].weight[3]
    assert scores("lsh", layers)["0.weight"].sum(1).argmin() == 1


def test_tied_weights_are_judged_by_what_both_layers_take_in() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.tanh(self.first(x)))

    layers = Tied()
    x = torch.from_numpy(X)
    between = torch.tanh(layers.first(x)).detach()
    expected = layers.first.weight.detach().abs() * (x.square().mean(0) + between.square().mean(0)).sqrt()
    found = scores("wanda", layers)
    torch.testing.assert_close(found, {"first.weight": expected})
