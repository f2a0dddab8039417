"""What a step says is what goes: amounts, scopes, kinds of units, targets and rounds; and what it refuses."""

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from app.core.errors import Invalid
from app.core.measurements import OutputFormat
from app.core.recipes import StructuredPruning
from app.core.recipes.schedules import Schedule
from app.core.recipes.structured_pruning import PruningTarget
from tests.worker.importance.runs import network_of, run_over
from worker.counting import count
from worker.network import Network
from worker.run import Run
from worker.structure import analysis
from worker.techniques import apply


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 12, 3), nn.Conv2d(12, 20, 3)
        self.fc1, self.fc2 = nn.Linear(20 * 4, 30), nn.Linear(30, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return self.fc2(torch.relu(self.fc1(torch.flatten(x, 1))))


class Attention(nn.Module):
    """Heads that are told apart by a view, and a normalized sum that binds the width."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(3, 24)
        self.qkv, self.proj = nn.Linear(24, 72), nn.Linear(24, 24)
        self.norm, self.up, self.down = nn.LayerNorm(24), nn.Linear(24, 40), nn.Linear(40, 24)
        self.fc = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        parts = self.qkv(x).split(24, -1)
        q, k, v = (parts[at].view(x.size(0), -1, 6, 4).transpose(1, 2) for at in range(3))
        said = torch.softmax(q @ k.transpose(-2, -1) / 2, -1) @ v
        x = self.norm(x + self.proj(said.transpose(1, 2).reshape(x.size(0), -1, 24)))
        return self.fc((x + self.down(torch.relu(self.up(x)))).mean(1))


def images(seed: int = 0) -> tuple[Network, Run]:
    torch.manual_seed(0)
    network = network_of(Images(), (1, 6, 6))
    with torch.no_grad():
        network.module.conv1.weight[:4] *= 3
    generator = np.random.default_rng(0)
    x = generator.standard_normal((40, 1, 6, 6), dtype=np.float32)
    return network, run_over(network, x, np.arange(40) % 4, seed)


def attention() -> tuple[Network, Run]:
    torch.manual_seed(0)
    network = network_of(Attention(), (5, 3))
    return network, run_over(network, np.zeros((4, 5, 3), np.float32))


def widths(network: Network) -> dict[str, int]:
    named = network.module.named_modules()
    return {name: len(layer.weight) for name, layer in named if isinstance(layer, nn.Conv2d | nn.Linear)}


def pruned_images(**settings: object) -> dict[str, int]:
    return widths(apply(StructuredPruning(**settings), *images()))  # type: ignore[arg-type]


def test_each_layer_loses_its_fraction_and_outputs_none() -> None:
    assert pruned_images(ratio=0.25, scope="layer") == {"conv1": 9, "conv2": 15, "fc1": 23, "fc2": 4}


def test_ranked_together_the_network_loses_the_fraction() -> None:
    found = pruned_images(ratio=0.5)
    assert sum(found.values()) - found["fc2"] == 31
    assert len({found["conv1"] / 12, found["conv2"] / 20, found["fc1"] / 30}) > 1


def test_a_layer_is_never_emptied() -> None:
    assert min(pruned_images(ratio=0.99).values()) >= 1
    assert pruned_images(ratio=0.99, scope="layer")["conv1"] == 1


def test_ratios_are_by_pattern_and_others_stay() -> None:
    found = pruned_images(ratios={"conv1": 0.5, "conv*": 0.25})
    assert found == {"conv1": 6, "conv2": 15, "fc1": 30, "fc2": 4}


def test_what_stays_is_rounded_up() -> None:
    assert pruned_images(ratio=0.5, scope="layer", round_to=8) == {"conv1": 8, "conv2": 16, "fc1": 16, "fc2": 4}


def test_patterns_leave_layers_out() -> None:
    assert pruned_images(exclude=("fc*",), scope="layer")["fc1"] == 30
    assert pruned_images(only=("conv2",), scope="layer") == {"conv1": 12, "conv2": 10, "fc1": 30, "fc2": 4}
    with pytest.raises(Invalid) as refused:
        pruned_images(only=("convolution*",))
    assert refused.value.code == "pattern_matches_nothing"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("channel", {"conv1": 6, "conv2": 10, "fc1": 30}),
        ("filter", {"conv1": 6, "conv2": 10, "fc1": 30}),
        ("neuron", {"conv1": 12, "conv2": 20, "fc1": 15}),
    ],
)
def test_only_units_of_the_kind_go(unit: str, expected: dict[str, int]) -> None:
    assert pruned_images(unit=unit, scope="layer") == expected | {"fc2": 4}


def test_heads_go_whole() -> None:
    network, run = attention()
    pruned = apply(StructuredPruning(unit="head", ratio=0.5), network, run)
    assert widths(pruned) == {"embedding": 24, "qkv": 36, "proj": 24, "up": 40, "down": 24, "fc": 4}
    (told,) = run.details.tables()
    assert told.rows == (("qkv", "head", 6, 3),)
    inputs = torch.randn(3, 7, 3)
    assert pruned.run(inputs)[0].shape == (3, 4)


def test_the_width_of_a_transformer_shrinks_around_its_heads() -> None:
    pruned = apply(StructuredPruning(scope="layer"), *attention())
    assert widths(pruned) == {"embedding": 12, "qkv": 36, "proj": 12, "up": 20, "down": 12, "fc": 4}
    assert pruned.module.norm.normalized_shape == (12,)


def test_alike_layers_are_ranked_together() -> None:
    found = pruned_images(ratio=0.5, scope="isomorphic")
    assert found["conv1"] + found["conv2"] != 32
    assert sum(found.values()) - found["fc2"] in (31, 32)


@pytest.mark.parametrize("name", ["macs", "parameters", "size_bytes"])
def test_a_target_is_just_met(name: str) -> None:
    network, run = images()
    bytes_of_one = 4 if name == "size_bytes" else 1
    whole = count(network).macs if name == "macs" else network.parameters * bytes_of_one
    pruned = apply(StructuredPruning(target=PruningTarget(**{name: whole // 3})), network, run)
    found = count(pruned).macs if name == "macs" else pruned.parameters * bytes_of_one
    assert 0.8 * whole // 3 < found <= whole // 3


def test_a_target_out_of_reach_names_the_nearest() -> None:
    network, run = images()
    with pytest.raises(Invalid) as refused:
        apply(StructuredPruning(target=PruningTarget(parameters=5)), network, run)
    assert refused.value.code == "target_not_met"
    nearest = int(refused.value.detail.partition("Ask for ")[2].partition(" ")[0])
    met = apply(StructuredPruning(target=PruningTarget(parameters=nearest)), network, run)
    assert met.parameters == nearest


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_rounds_come_to_the_same_widths(kind: str) -> None:
    network, run = images()
    schedule = Schedule(kind=kind, rounds=3, epochs=1)
    before = {name: parameter.clone() for name, parameter in network.module.named_parameters()}
    pruned = apply(StructuredPruning(scope="layer", schedule=schedule), network, run)
    assert widths(pruned) == {"conv1": 6, "conv2": 10, "fc1": 15, "fc2": 4}
    assert len(run.epochs) == 3
    assert all(torch.equal(before[name], parameter) for name, parameter in network.module.named_parameters())


def test_rounds_come_to_the_same_target() -> None:
    network, run = images()
    step = StructuredPruning(
        target=PruningTarget(parameters=1500), schedule=Schedule(kind="linear", rounds=2, epochs=1)
    )
    assert 1200 < apply(step, network, run).parameters <= 1500


def test_too_small_a_fraction_is_told_of() -> None:
    network, run = images()
    assert widths(apply(StructuredPruning(ratio=0.01, scope="layer"), network, run)) == widths(network)
    assert any("less than one unit" in warning for warning in run.warnings)


def test_nothing_to_prune_is_said() -> None:
    network = network_of(nn.Sequential(nn.Linear(3, 4)), (3,))
    with pytest.raises(Invalid) as refused:
        apply(StructuredPruning(), network, run_over(network, np.zeros((2, 3), np.float32)))
    assert refused.value.code == "nothing_to_prune"


def test_a_criterion_needs_what_it_looks_at() -> None:
    with pytest.raises(Invalid) as refused:
        pruned_images(criterion="batch_norm_scale")
    assert refused.value.code == "nothing_to_prune"


@pytest.fixture
def wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer norm that forgets its own weights, so that a narrower network can't run."""
    import worker.structure.rules  # noqa: F401

    monkeypatch.setitem(analysis.LAYERS, nn.LayerNorm, lambda call: call.marked())


@pytest.mark.usefixtures("wrong_rule")
def test_what_does_not_run_is_left_and_the_rest_pruned() -> None:
    network, run = attention()
    pruned = apply(StructuredPruning(scope="layer"), network, run)
    assert widths(pruned) == {"embedding": 24, "qkv": 36, "proj": 24, "up": 20, "down": 24, "fc": 4}


def test_a_call_that_its_rule_does_not_know_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import worker.structure.rules  # noqa: F401

    monkeypatch.setitem(analysis.LAYERS, nn.LayerNorm, lambda call: call.marked()[9])
    pruned = apply(StructuredPruning(scope="layer"), *attention())
    assert widths(pruned) == {"embedding": 24, "qkv": 36, "proj": 24, "up": 20, "down": 24, "fc": 4}


@pytest.mark.usefixtures("wrong_rule")
def test_a_lower_rung_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.structure.candidates.Candidates.removable", lambda *_: [])
    network, run = attention()
    pruned = apply(StructuredPruning(scope="layer"), network, run)
    assert widths(pruned)["up"] == 20
    assert widths(pruned)["embedding"] == 24
    assert any("feed-forward widths and attention heads only" in warning for warning in run.warnings)


def test_a_network_that_can_not_be_cut_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.structure.candidates.Candidates.verified", lambda *_: None)
    network, run = images()
    assert widths(apply(StructuredPruning(), network, run)) == widths(network)
    assert any("took nothing away" in warning for warning in run.warnings)


def test_torch_pruning_finds_the_same_channels() -> None:
    """Where its own graph, which follows channels through images and vectors, is right."""
    import torch_pruning

    network, run = images()
    pruned = apply(StructuredPruning(scope="layer", criterion="l1"), network, run)
    theirs, example = fx.symbolic_trace(Images()), torch.randn(2, 1, 6, 6)
    theirs.load_state_dict(network.module.state_dict())
    importance = torch_pruning.importance.MagnitudeImportance(p=1, group_reduction="first", normalizer=None)
    pruner = torch_pruning.pruner.MagnitudePruner(
        theirs, example, importance=importance, pruning_ratio=0.5, ignored_layers=[theirs.fc2]
    )
    pruner.step()
    for name, parameter in pruned.module.named_parameters():
        assert parameter.shape == theirs.get_parameter(name).shape
    torch.testing.assert_close(pruned.run(example)[0], theirs(example).detach())


@pytest.mark.parametrize(
    ("round_to", "output", "told"), [(1, "onnx", True), (4, "onnx", False), (1, "torchscript", False)]
)
def test_convolutions_that_become_slow_are_told(round_to: int, output: OutputFormat, *, told: bool) -> None:
    network, run = images()
    run.formats = (output,)
    apply(StructuredPruning(ratio=0.5, scope="layer", round_to=round_to), network, run)
    assert any("Of 2 convolutions" in warning for warning in run.warnings) is told
