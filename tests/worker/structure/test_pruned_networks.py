"""Networks of every kind without some of their units: right, smaller, and where that can be said, exact."""

import pytest
import torch
from torch import Tensor, fx, nn

from app.core.inputs import InputSpec
from app.core.recipes import StructuredPruning
from tests.worker.importing.archives import rebuilt_case
from tests.worker.importing.networks import CASES, Case
from worker.network import Network, with_flat_outputs
from worker.run import Run
from worker.structure.analysis import analyse
from worker.structure.groups import find_groups
from worker.structure.removal import without
from worker.techniques import apply

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

# What stays of the parameters at a ratio of 0.5 in each layer, at most.
PRUNED = {
    "perceptron": 0.6,
    "baked view": 0.6,
    "residual": 0.3,
    "dense": 0.4,
    "u-net": 0.3,
    "inverted residual": 0.5,
    "grouped squeeze-excite": 0.5,
    "1d": 0.5,
    "3d": 0.5,
    "lstm": 0.35,
    "lstm, projected": 0.75,
    "last hidden": 0.35,
    "convolutional recurrent": 0.35,
    "transformer": 0.6,
    "cross attention": 0.6,
    "fused attention": 0.7,
    "encoder decoder": 0.6,
    "tied": 0.5,
    "old linear": 0.5,
    "unrolled": 0.6,
    "positional": 0.6,
}
# A norm or a mean over units stands in all that can go of these.
INEXACT = ("grouped squeeze-excite", "cross attention", "positional")
# Every unit of these is bound to what they answer, or to an operator that isn't followed.
BOUND = ("written attention", "dict output", "indexing")


def case_of(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def network_of(case: Case) -> Network:
    tokens = {"dtype": "int64", "low": 1, "high": case.tokens} if case.tokens else {}
    specs = [InputSpec(name=f"x{at}", shape=("batch", *shape), **tokens) for at, shape in enumerate(case.shapes)]
    return Network(with_flat_outputs(rebuilt_case(case, "trace").network), tuple(specs))


def run_over(network: Network) -> Run:
    return Run(0, lambda _message: None, network)


@pytest.mark.parametrize("name", PRUNED)
def test_half_of_every_layer_goes(name: str) -> None:
    network = network_of(case_of(name))
    run = run_over(network)
    pruned = apply(StructuredPruning(scope="layer"), network, run)
    assert pruned.parameters <= PRUNED[name] * network.parameters
    assert not run.warnings
    for batch in (1, 7):
        inputs = case_of(name).inputs(batch)
        assert [one.shape for one in pruned.run(*inputs)] == [one.shape for one in network.run(*inputs)]


@pytest.mark.parametrize("name", [name for name in PRUNED if name not in INEXACT])
def test_units_whose_weights_are_zero_go_without_a_trace(name: str) -> None:
    network, inputs = network_of(case_of(name)), case_of(name).inputs(3)
    structure = analyse(network.module, inputs)
    groups = [group for group in find_groups(network.module, structure) if group.exact]
    parameters = dict(network.module.named_parameters())
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    with torch.no_grad():
        for group in groups:
            for one in group.slices:
                parameters[one.parameter].index_fill_(one.dim, one.indices[one.units == len(group) - 1], 0)
        zeroed = network.run(*inputs)
        smaller = without(network.module, structure, [group.atoms[-1] for group in groups], inputs)
        answers = Network(smaller, network.inputs).run(*inputs)
        for name, parameter in parameters.items():
            parameter.copy_(kept[name])
    assert groups
    for one, other in zip(answers, zeroed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BOUND)
def test_nothing_goes_that_the_answers_need(name: str) -> None:
    network = network_of(case_of(name))
    inputs = case_of(name).inputs(2)
    assert find_groups(network.module, analyse(network.module, inputs)) == []


def test_pruning_again_goes_on_from_what_is_left() -> None:
    network = network_of(case_of("transformer, norm first"))
    once = apply(StructuredPruning(scope="layer"), network, run_over(network))
    twice = apply(StructuredPruning(scope="layer"), once, run_over(network))
    assert twice.parameters < once.parameters < network.parameters
    inputs = case_of("transformer").inputs(4)
    assert twice.run(*inputs)[0].shape == network.run(*inputs)[0].shape


class Shuffled(nn.Module):
    """Channels that a shuffle weaves, a concatenation that a slice cuts, and a chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = x.view(x.size(0), 2, 4, 4, 4).transpose(1, 2).reshape(x.size(0), 8, 4, 4)
        first, second = torch.chunk(torch.relu(self.conv2(x)), 2, dim=1)
        joined = torch.cat([first, second, first * second], 1)[:, 0:12]
        return self.fc(joined.mean((2, 3)))


def test_sizes_and_bounds_in_the_graph_are_made_right() -> None:
    torch.manual_seed(0)
    network = Network(fx.symbolic_trace(Shuffled().eval()), (InputSpec(name="x", shape=("batch", 3, 4, 4)),))
    pruned = apply(StructuredPruning(scope="layer"), network, run_over(network))
    assert pruned.module.conv1.out_channels == pruned.module.conv2.in_channels == 4
    assert pruned.module.fc.in_features == 6
    assert pruned.run(torch.randn(5, 3, 4, 4))[0].shape == (5, 3)


class AsWideAsEightHeads(nn.Module):
    """Its sizes divide a width by a number, as attention does by the number of heads."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(6, 8), nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc3(torch.relu(self.fc2(x).view(x.size(0), 8, x.size(-1) // 8 * 2)).flatten(1))


def test_a_width_pruned_below_what_divides_it_leaves_the_sizes_right() -> None:
    torch.manual_seed(0)
    network = Network(fx.symbolic_trace(AsWideAsEightHeads().eval()), (InputSpec(name="x", shape=("batch", 6)),))
    pruned = apply(StructuredPruning(scope="layer", only=["fc1"]), network, run_over(network))
    assert pruned.module.fc1.out_features == 4
    assert pruned.run(torch.randn(5, 6))[0].shape == (5, 3)
