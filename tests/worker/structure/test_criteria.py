"""Every criterion is its formula, knows an unimportant unit, and differs from every other."""

from collections.abc import Callable
from functools import cache
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.recipes import StructuredPruning
from app.core.recipes.structured_pruning import Criterion
from tests.worker.importance.runs import network_of, run_over
from worker.importance.lsh import redundancy
from worker.importance.stability import answer_sensitivity
from worker.network import Network
from worker.run import Run
from worker.structure.candidates import Candidates
from worker.structure.criteria import JUDGES

EXAMPLES, CLASSES, PLANTED = 48, 4, 5


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.conv2, self.norm2 = nn.Conv2d(32, 48, 3, padding=1), nn.BatchNorm2d(48)
        self.fc = nn.Linear(48, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.conv1(x)))
        return self.fc(torch.relu(self.norm2(self.conv2(x))).mean((2, 3)))


@cache
def trained() -> tuple[Network, Run]:
    """A network that learned to tell four patterns apart, so that its units aren't all alike."""
    torch.manual_seed(0)
    labels = torch.arange(EXAMPLES) % CLASSES
    x = torch.randn(CLASSES, 2, 6, 6)[labels] + 0.5 * torch.randn(EXAMPLES, 2, 6, 6)
    network = network_of(Convolutional(), (2, 6, 6))
    optimizer = torch.optim.Adam(network.module.parameters(), lr=0.01)
    network.module.train()
    for _ in range(12):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network.module(x), labels).backward()
        optimizer.step()
    network.module.eval()
    return network, run_over(network, x.numpy(), labels.numpy())


@cache
def scores(criterion: Criterion) -> dict[str, Tensor]:
    network, run = trained()
    judged = Candidates(StructuredPruning(criterion=criterion), network, run, {}).scores
    return {group.name: of for group, of in judged.items()}


def examples() -> tuple[Tensor, Tensor]:
    _, run = trained()
    assert run.data is not None
    arrays, labels = run.data.train.take(range(EXAMPLES))
    assert labels is not None
    return arrays["x"], labels


def gradients_by_example() -> Tensor:
    """Of conv2's weight: (examples, *weight)."""
    network, _ = trained()
    weight = network.module.get_parameter("conv2.weight")
    x, labels = examples()
    losses = (nn.functional.cross_entropy(network.module(x[i : i + 1]), labels[i : i + 1]) for i in range(EXAMPLES))
    return torch.stack([torch.autograd.grad(loss, weight)[0] for loss in losses])


def says() -> Tensor:
    """What conv2's channels say behind the activation: (examples, channels, places)."""
    network, _ = trained()
    module = network.module
    with torch.no_grad():
        hidden = torch.relu(module.norm1(module.conv1(examples()[0])))
        return torch.relu(module.norm2(module.conv2(hidden))).flatten(2)


def filters() -> Tensor:
    return trained()[0].module.get_parameter("conv2.weight").detach()


def by_filter(weights: Tensor) -> Tensor:
    return weights.flatten(1).sum(1)


def group_norm() -> Tensor:
    module = trained()[0].module
    tensors = [filters().flatten(1), module.conv2.bias[:, None], module.fc.weight.T]
    tensors += [module.norm2.weight[:, None], module.norm2.bias[:, None]]
    return torch.cat(tensors, 1).detach().norm(dim=1)


def lamp() -> Tensor:
    squares = by_filter(filters().square())
    return torch.stack([one / squares[squares >= one].sum() for one in squares])


def fpgm() -> Tensor:
    rows = filters().flatten(1)
    return torch.stack([torch.stack([(one - other).norm() for other in rows]).sum() for one in rows])


FORMULAS: dict[Criterion, Callable[[], Tensor]] = {
    "l1": lambda: by_filter(filters().abs()),
    "l2": lambda: by_filter(filters().square()).sqrt(),
    "group_norm": group_norm,
    "batch_norm_scale": lambda: trained()[0].module.norm2.weight.detach().abs(),
    "lamp": lamp,
    "fpgm": fpgm,
    "taylor": lambda: by_filter(filters().abs() * gradients_by_example().abs().mean(0)),
    "hessian": lambda: by_filter(filters().square() * gradients_by_example().square().mean(0)) / 2,
    "apoz": lambda: (says() > 0).float().mean((0, 2)),
    "mean_activation": lambda: says().mean((0, 2)),
    "stability": lambda: by_filter(filters().square() * answer_sensitivity(*trained())["conv2.weight"]),
    "lsh": lambda: (1 - redundancy(filters().flatten(1), 0)) * filters().flatten(1).norm(dim=1),
}


@pytest.mark.parametrize("criterion", FORMULAS)
def test_a_criterion_is_its_formula(criterion: Criterion) -> None:
    torch.testing.assert_close(scores(criterion)["conv2"].float(), FORMULAS[criterion](), rtol=1e-4, atol=1e-6)


def test_random_follows_the_seed_alone() -> None:
    network, run = trained()
    step = StructuredPruning(criterion="random")
    again, other = (Candidates(step, network, Run(seed, run.report, network), {}).scores for seed in (0, 1))
    for one, changed, name in zip(again.values(), other.values(), scores("random"), strict=True):
        assert torch.equal(one, scores("random")[name])
        assert not torch.equal(one, changed)


@pytest.mark.parametrize("criterion", sorted(set(JUDGES) - {"random"}))
def test_an_unimportant_channel_comes_last(criterion: Criterion) -> None:
    """It says nothing, whatever it sees, and what it says isn't read."""
    torch.manual_seed(0)
    module = Convolutional()
    with torch.no_grad():
        for tensor in (module.norm2.weight, module.norm1.weight):
            tensor.uniform_(0.5, 1.5)
        module.norm2.bias.uniform_(0.1, 0.5)
        for tensor in (module.conv2.weight, module.conv2.bias, module.norm2.weight, module.norm2.bias):
            tensor[PLANTED] = 0
        module.fc.weight[:, PLANTED] = 0
    network = network_of(module, (2, 6, 6))
    run = run_over(
        network, np.random.default_rng(0).standard_normal((16, 2, 6, 6), dtype=np.float32), np.arange(16) % 4
    )
    judged = Candidates(StructuredPruning(criterion=criterion), network, run, {}).scores
    (of_conv2,) = (found for group, found in judged.items() if group.name == "conv2")
    assert of_conv2.argmin() == PLANTED
    assert (of_conv2 > of_conv2[PLANTED]).sum() == len(of_conv2) - 1


def removed(criterion: Criterion) -> set[int]:
    """The less important half of the network."""
    network, run = trained()
    candidates = Candidates(StructuredPruning(criterion=criterion), network, run, {})
    return candidates.least(0.5, list(candidates.scores))


def test_any_two_criteria_choose_differently() -> None:
    chosen = {criterion: removed(criterion) for criterion in JUDGES}
    for one, other in combinations(JUDGES, 2):
        assert len(chosen[one] - chosen[other]) >= 0.05 * len(chosen[one]), (one, other)


def test_channels_are_judged_by_what_reads_them() -> None:
    network, run = trained()
    judged = Candidates(StructuredPruning(criterion="l1", unit="channel"), network, run, {}).scores
    (of_conv1,) = (found for group, found in judged.items() if group.name == "conv1")
    expected = network.module.get_parameter("conv2.weight").detach().abs().sum((0, 2, 3))
    torch.testing.assert_close(of_conv1.float(), expected)
