"""What the technique does to a network: which layers, under which names, and what it says of them."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, fx, nn

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.recipes import LowRankFactorization
from app.core.wanted_files import SUFFIXES
from tests.worker.networks import NETWORKS
from worker.counting import count
from worker.exporting import export
from worker.exporting.load_network import load_network
from worker.network import Network
from worker.run import Run
from worker.techniques import apply


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, groups=32)
        self.point = nn.Conv2d(32, 16, 1, bias=False)
        self.fc = nn.Linear(16, 24)
        self.again = nn.Linear(24, 24)
        self.embedding = nn.Embedding(24, 24)
        self.tied = nn.Linear(24, 24, bias=False)
        self.tied.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(self.point(self.depthwise(torch.relu(self.conv(x)))).mean((2, 3)))
        x = self.again(torch.relu(self.again(x)))
        return self.tied(x) + self.embedding(x.argmax(-1))


def network(module: nn.Module | None = None) -> Network:
    torch.manual_seed(0)
    return Network(fx.symbolic_trace((module or Layers()).eval()), (InputSpec(name="x", shape=("batch", 16, 8, 8)),))


def factored(given: Network | None = None, seed: int = 0, **fields: object) -> tuple[Network, Run]:
    given = given or network()
    run = Run(seed, lambda _message: None, given)
    return apply(LowRankFactorization(**fields), given, run), run


def rows(run: Run, title: str) -> dict[str, dict[str, object]]:
    table = next(table for table in run.details.tables() if table.title == title)
    named = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {str(row["layer"]): row for row in named}


def test_factors_stand_under_the_layer_name() -> None:
    changed, _ = factored(rank=4)
    state = changed.module.state_dict()
    assert {name for name in state if name.startswith("conv.")} == {
        *("conv.0.weight", "conv.1.weight", "conv.2.weight", "conv.2.bias")
    }
    assert state["conv.1.weight"].shape == (4, 4, 3, 3)
    assert state["fc.0.weight"].shape == (4, 16)
    assert state["fc.1.weight"].shape == (24, 4)
    assert torch.equal(state["fc.1.bias"], network().module.fc.bias)


def test_what_is_left_is_told_with_its_reason() -> None:
    _, run = factored(rank=4)
    left = rows(run, "Layers left as they are")
    assert left.keys() == {"depthwise", "tied"}
    assert "grouped" in str(left["depthwise"]["reason"])
    assert "embedding.weight" in str(left["tied"]["reason"])


def test_each_error_is_that_of_the_weights() -> None:
    given = network()
    _, run = factored(given, rank=4, only=("fc",))
    values = torch.linalg.svdvals(given.module.fc.weight.detach())
    expected = (values[4:].square().sum() / values.square().sum()).sqrt()
    assert rows(run, "Factored layers")["fc"]["relative error"] == pytest.approx(float(expected), rel=1e-5)


def test_a_layer_that_is_called_twice_stays_one() -> None:
    given = network()
    changed, run = factored(given, rank=3, only=("again",))
    calls = [node.target for node in changed.module.graph.nodes if str(node.target).startswith("again")]
    assert calls == ["again.0", "again.1"] * 2
    with torch.no_grad():
        given.module.again.weight.copy_(
            changed.module.get_parameter("again.1.weight") @ changed.module.get_parameter("again.0.weight")
        )
    x = torch.randn(3, 16, 8, 8)
    torch.testing.assert_close(changed.run(x), given.run(x), rtol=1e-4, atol=1e-5)
    assert rows(run, "Factored layers")["again"]["macs before"] == 2 * 24 * 24


@pytest.mark.parametrize(
    "fields", [{}, {"ratio": 0.7}, {"energy": 0.6}, {"rank": 4}, {"method": "svd"}, {"method": "cp"}]
)
def test_what_it_says_of_the_work_is_what_is_counted(fields: dict[str, object]) -> None:
    given = network()
    changed, run = factored(given, **fields)
    told = rows(run, "Factored layers").values()
    saved = sum(int(str(row["macs before"])) - int(str(row["macs after"])) for row in told)
    assert saved == count(given).macs - count(changed).macs
    assert all(row["macs after"] < row["macs before"] for row in told)


def test_a_ratio_is_of_all_that_can_be_factored_and_keeps_what_matters() -> None:
    """One of two equal layers has rank 2: all is taken from it."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 64))
    with torch.no_grad():
        layers[3].weight.copy_(torch.randn(64, 2) @ torch.randn(2, 64))
    given = network(layers)
    _, run = factored(given, ratio=0.45, only=("3", "4"))
    told = rows(run, "Factored layers")
    assert told.keys() == {"3"}
    assert told["3"]["relative error"] < 1e-5


def test_energy_keeps_that_share() -> None:
    given = network()
    _, run = factored(given, energy=0.6, only=("fc", "conv"))
    assert 1 - 0.6 >= float(str(rows(run, "Factored layers")["fc"]["relative error"])) ** 2 > 0.3


def test_nothing_to_gain_is_refused() -> None:
    with pytest.raises(Invalid, match="multiply-accumulates") as caught:
        factored(rank=1000)
    assert caught.value.code == "nothing_factored"
    with pytest.raises(Invalid, match="tucker is for convolutions"):
        factored(method="tucker", only=("fc",))


@pytest.mark.parametrize("fields", [{"ratio": 0.5, "rank": 3}, {"energy": 0.9, "method": "cp"}, {"ratio": 1.0}])
def test_amounts_that_cant_be_are_refused_before_anything_runs(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LowRankFactorization(**fields)


def test_the_given_network_is_not_changed_and_the_seed_decides() -> None:
    given = network()
    first, again, other = (factored(given, seed, method="cp")[0].module.state_dict() for seed in (1, 1, 2))
    assert set(given.module.state_dict()) == set(network().module.state_dict())
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["conv.0.weight"], other["conv.0.weight"])


@pytest.mark.parametrize("method", ["auto", "cp"])
def test_every_format_holds_the_chains(method: str, tmp_path) -> None:
    example = NETWORKS["cnn"]
    module = fx.symbolic_trace(example.network())
    given = Network(module, (InputSpec(name="images", shape=("batch", *example.shape)),))
    changed, _ = factored(given, method=method)
    for output_format, suffix in SUFFIXES.items():
        export(changed, output_format, tmp_path / f"model{suffix}")
    loaded = load_network(tmp_path / "network.json", tmp_path / "model.safetensors")
    x = example.inputs(3)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), changed.run(x)[0])
