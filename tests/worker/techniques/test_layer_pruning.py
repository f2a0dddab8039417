"""Layers that are left out: the right ones, with nothing of them left, and the rest as it was."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, fx, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.recipes import LayerPruning
from app.core.wanted_files import SUFFIXES
from worker.data import Examples, NetworkData
from worker.exporting import export
from worker.exporting.load_network import load_network
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

EXAMPLES, LABELS = 24, 3


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 9), nn.Linear(9, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.blocks = nn.Sequential(*(Block() for _ in range(4)))
        self.head = nn.Linear(6, LABELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 5, num_layers=3, bidirectional=True, batch_first=True, dropout=0.1)
        self.head = nn.Linear(10, LABELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0].mean(1))


def network(module: nn.Module | None = None, shape: tuple[int, ...] = (4,)) -> Network:
    torch.manual_seed(1)
    module = module or Residual()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return Network(fx.symbolic_trace(module.eval()), (InputSpec(name="x", shape=("batch", *shape)),))


def data(network: Network) -> NetworkData:
    shape = network.inputs[0].shape[1:]
    generator = np.random.default_rng(0)
    inputs = {"x": generator.normal(size=(EXAMPLES, *shape)).astype(np.float32)}
    half = Examples(inputs, np.arange(EXAMPLES) % LABELS, np.arange(EXAMPLES))
    return NetworkData(half, half, network.inputs)


def pruned(given: Network, seed: int = 0, **fields: object) -> tuple[Network, Run]:
    run = Run(seed, lambda _message: None, given, data(given))
    return apply(LayerPruning(**fields), given, run), run


def rows(run: Run) -> list[dict[str, object]]:
    (table,) = run.details.tables()
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def left_out(run: Run) -> list[object]:
    return [row["block"] for row in rows(run) if row["left out"]]


@pytest.mark.parametrize("criterion", ["cosine", "taylor"])
def test_a_block_that_does_nothing_goes_first(criterion: str) -> None:
    given = network()
    nn.init.zeros_(given.module.get_parameter("blocks.2.second.weight"))
    nn.init.zeros_(given.module.get_parameter("blocks.2.second.bias"))
    changed, run = pruned(given, criterion=criterion)
    assert left_out(run) == ["blocks.2"]
    x = torch.randn(5, 4)
    torch.testing.assert_close(changed.run(x), given.run(x))


def test_nothing_of_it_is_left() -> None:
    """Nor of what nothing read before."""
    given = network()
    given.module.add_submodule("forgotten", nn.Linear(2, 2))
    changed, _ = pruned(given, count=2)
    names = {name.rsplit(".", 2)[0] for name in changed.module.state_dict() if name.startswith("blocks")}
    assert len(names) == 2
    assert changed.parameters == given.parameters - 2 * (6 * 9 + 9 + 9 * 6 + 6) - 6
    assert "forgotten.weight" not in changed.module.state_dict()
    assert "forgotten.weight" in given.module.state_dict()


@pytest.mark.parametrize("gone", [(0, 1), (1, 2), (0, 3)])
def test_the_rest_answers_as_it_would_alone(gone: tuple[int, int]) -> None:
    given = network()
    only = tuple(f"blocks.{number}.*" for number in gone)
    changed, _ = pruned(given, count=2, only=only)
    with torch.no_grad():
        for number in gone:
            given.module.get_submodule(f"blocks.{number}.second").weight.zero_()
            given.module.get_submodule(f"blocks.{number}.second").bias.zero_()
    x = torch.randn(5, 4)
    torch.testing.assert_close(changed.run(x), given.run(x))


def test_cosine_is_that_of_a_blocks_input_and_answer() -> None:
    given = network()
    _, run = pruned(given)
    x = torch.from_numpy(run.data.train.inputs["x"])
    with torch.no_grad():
        value = given.module.stem(x)
        for row in rows(run):
            block = given.module.get_submodule(str(row["block"]))
            answer = value + block.second(torch.relu(block.first(value)))
            assert row["importance"] == pytest.approx(1 - float(cosine_similarity(value, answer).mean()), abs=1e-5)
            value = answer


def test_taylor_is_the_sum_of_weights_times_gradients() -> None:
    given = network()
    _, run = pruned(given, criterion="taylor")
    labels = torch.from_numpy(run.data.train.labels)
    cross_entropy(given.module(torch.from_numpy(run.data.train.inputs["x"])), labels).backward()
    for row in rows(run):
        block = given.module.get_submodule(str(row["block"]))
        expected = sum(float((p.detach() * p.grad).abs().sum()) for p in block.parameters())
        assert row["importance"] == pytest.approx(expected, rel=1e-4)


def test_random_depends_on_the_seed_and_needs_no_data() -> None:
    chosen = [left_out(pruned(network(), seed, criterion="random")[1]) for seed in range(6)]
    assert chosen[0] == left_out(pruned(network(), 0, criterion="random")[1])
    assert len({str(each) for each in chosen}) > 1
    assert not LayerPruning(criterion="random").must_have_data()


def test_a_level_of_a_recurrent_stack() -> None:
    given = network(Stacked(), (7, 4))
    changed, run = pruned(given, count=1, criterion="taylor")
    (level,) = (int(str(name)[-1]) for name in left_out(run))
    shorter = nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True).eval()
    state = given.module.rnn.state_dict()
    kept = {1: 2, 2: 1}[level]
    shorter.load_state_dict({name: state[name.replace("_l1", f"_l{kept}")] for name in shorter.state_dict()})
    x = torch.randn(3, 7, 4)
    with torch.no_grad():
        expected = given.module.head(shorter(x)[0].mean(1))
    torch.testing.assert_close(changed.run(x)[0], expected)
    assert changed.module.rnn.num_layers == 2
    both, _ = pruned(given, count=2)
    assert both.module.rnn.num_layers == 1


def test_patterns_keep_blocks() -> None:
    _, run = pruned(network(), count=1, exclude=("blocks.[0-2].first",))
    assert left_out(run) == ["blocks.3"]


def test_what_cant_be_left_out_is_refused() -> None:
    with pytest.raises(Invalid, match="Nothing can be left out") as caught:
        pruned(network(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6))))
    assert caught.value.code == "nothing_to_leave_out"
    with pytest.raises(Invalid, match="5 blocks should go, and 4 of 4 may"):
        pruned(network(), count=5)
    with pytest.raises(Invalid, match="no weights at all"):
        pruned(network(Block(), (6,)))
    with pytest.raises(ValidationError):
        LayerPruning(ratio=0.5, count=1)


@pytest.mark.parametrize(("module", "shape"), [(Residual, (4,)), (Stacked, (7, 4))])
def test_every_format_holds_the_rest(module: type[nn.Module], shape: tuple[int, ...], tmp_path) -> None:
    changed, _ = pruned(network(module(), shape), count=1)
    for output_format, suffix in SUFFIXES.items():
        export(changed, output_format, tmp_path / f"model{suffix}")
    loaded, x = load_network(tmp_path / "network.json", tmp_path / "model.safetensors"), torch.randn(3, *shape)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), changed.run(x)[0])
