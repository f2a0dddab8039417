"""What is left of a network makes up for what went, as far as it can."""

import pytest
import torch
from torch import Tensor, nn

from app.core.recipes import StructuredPruning
from tests.worker.importance.runs import network_of, run_over
from worker.importance.gram_matrices import InputGram
from worker.network import Network
from worker.structure.elimination import Reader, errors_of_elimination
from worker.structure.pruning import prune
from worker.structure.reconstruction import InputGrams

EXAMPLES = 200


class Small(nn.Module):
    """A convolution read by a convolution, which a linear layer reads at each of nine places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(2, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.conv2, self.fc = nn.Conv2d(12, 8, 3, stride=2, padding=1, bias=False), nn.Linear(72, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv2(torch.relu(self.norm(self.conv1(x)))))
        return self.fc(x.flatten(1))


def small() -> Network:
    torch.manual_seed(0)
    return network_of(Small(), (2, 6, 6))


def with_twins() -> Network:
    """Every other channel of both convolutions says twice what the one before it says."""
    network = small()
    with torch.no_grad():
        for name in ("conv1", "conv2"):
            layer = network.module.get_submodule(name)
            for tensor in layer.parameters():
                tensor[1::2] = 2 * tensor[::2]
        network.module.norm.running_var[1::2] = 4 * network.module.norm.running_var[::2]
        network.module.norm.weight[1::2] = 2 * network.module.norm.weight[::2]
        network.module.norm.eps = 0.0
    return network


def examples(seed: int = 0) -> Tensor:
    return torch.randn(EXAMPLES, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


def error(network: Network, **step: object) -> float:
    """Of the pruned network's answers to other examples, in units of the answers' variance."""
    run = run_over(network, examples().numpy())
    pruned = prune(StructuredPruning.model_validate({"scope": "layer", "ratio": 0.5} | step), network, run)
    assert pruned.parameters < 0.6 * network.parameters
    (wanted,), (given,) = network.run(examples(1)), pruned.run(examples(1))
    return float((given - wanted).square().mean() / wanted.var())


def test_units_that_others_stand_in_for_are_not_missed() -> None:
    assert error(with_twins(), criterion="reconstruction_error", reconstruction="least_squares") < 1e-3
    assert error(with_twins(), criterion="reconstruction_error") > 0.1


@pytest.mark.parametrize("criterion", ["l2", "random", "reconstruction_error"])
def test_answers_stay_nearer_to_what_they_were(criterion: str) -> None:
    solved = error(small(), criterion=criterion, reconstruction="least_squares")
    assert solved < 0.7 * error(small(), criterion=criterion)


def test_it_chooses_what_can_be_made_up_for_best() -> None:
    others = [error(small(), criterion=criterion, reconstruction="least_squares") for criterion in ("l2", "random")]
    assert error(small(), criterion="reconstruction_error", reconstruction="least_squares") < min(others)


class Branches(nn.Module):
    """Two layers alike, of which the answers hardly hear the second, and at `places` the second works as often."""

    def __init__(self, heard: float, places: int) -> None:
        super().__init__()
        self.heard, self.places = heard, places
        self.loud, self.quiet = nn.Conv1d(2, 16, 1), nn.Conv1d(2, 16, 1)
        self.of_loud, self.of_quiet = nn.Conv1d(16, 3, 1), nn.Conv1d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        loud = self.of_loud(torch.relu(self.loud(x[:, :, :2])))
        quiet = self.of_quiet(torch.relu(self.quiet(x[:, :, : self.places])))
        return loud.mean(2) + self.heard * quiet.mean(2)


@pytest.mark.parametrize(("heard", "places"), [(0.01, 2), (1.0, 64)])
def test_units_go_where_least_is_lost_for_what_they_cost(heard: float, places: int) -> None:
    torch.manual_seed(0)
    network = network_of(Branches(heard, places), (2, 64))
    run = run_over(network, torch.randn(100, 2, 64).numpy())
    step = StructuredPruning(ratio=0.25, criterion="reconstruction_error", reconstruction="least_squares")
    pruned = prune(step, network, run).module
    assert [len(pruned.get_parameter(f"{name}.weight")) for name in ("loud", "quiet")] == [16, 8]


def test_weights_of_several_owners_stay() -> None:
    """A layer that shares its weight with another reads other inputs through it."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.one, self.other = nn.Linear(2, 8), nn.Linear(8, 3), nn.Linear(8, 3)
            self.other.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.relu(self.first(x))
            return self.one(hidden) + self.other(hidden.square())

    network = network_of(Tied(), (2,))
    run = run_over(network, torch.randn(50, 2).numpy())
    pruned = prune(StructuredPruning(ratio=0.5, reconstruction="least_squares"), network, run)
    assert pruned.module.one.weight is pruned.module.other.weight
    before = network.module.one.weight.T.tolist()
    assert all(column in before for column in pruned.module.one.weight.T.tolist())


def test_few_observations_do_not_make_units_look_idle() -> None:
    """Of 64 independent inputs each is a 64th of what is said; from 20 examples alone 44 seem to follow from others."""
    generator = torch.Generator().manual_seed(0)
    inputs, weight = (torch.randn(rows, 64, generator=generator, dtype=torch.float64) for rows in (20, 8))
    grams = InputGrams({"weight": InputGram((inputs.T @ inputs / 20)[None], 20)}, examples=20)
    judged = grams.to_judge("weight")
    assert judged is not None
    errors = errors_of_elimination([Reader.of(weight, judged, torch.arange(64)[:, None])])
    assert errors.min() > 0.25 / 64


def test_each_error_is_that_of_the_best_fit() -> None:
    """Removed one after another, the least costly first, each unit costs what least squares leave unexplained more."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(500, 6, generator=generator, dtype=torch.float64)
    inputs[:, 3] += inputs[:, 0] + inputs[:, 5]
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    wanted = inputs @ weight.T

    def unexplained(kept: list[int]) -> float:
        fitted = torch.linalg.lstsq(inputs[:, kept], wanted).solution
        return float((inputs[:, kept] @ fitted - wanted).square().sum() / wanted.square().sum())

    columns = torch.tensor([[0, 4], [1, 2], [3, 5]])
    found = errors_of_elimination([Reader.of(weight, inputs.T @ inputs, columns)])
    alone = torch.tensor([unexplained([i for i in range(6) if i not in gone]) for gone in columns.tolist()])
    first = int(alone.argmin())
    assert found[first] == pytest.approx(float(alone[first]))
    pairs = {unit: {first, unit} for unit in range(3) if unit != first}
    left = {
        u: unexplained([i for i in range(6) if i not in columns[list(gone)].flatten()]) for u, gone in pairs.items()
    }
    second = min(left, key=left.__getitem__)
    assert found[second] == pytest.approx(left[second] - float(alone[first]))
