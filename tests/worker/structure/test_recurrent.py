"""Hidden units: removed exactly where nothing uses them, followed to all their readers, left where they can't be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from torch import Tensor, fx, nn

from worker.structure.analysis import Structure, analyse
from worker.structure.groups import Group, find_groups
from worker.structure.removal import without

WIDTH = 8
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Recurrent(nn.Module):
    """A recurrent layer; `read` turns its answer into what the linear layer takes."""

    def __init__(self, kind: type[nn.RNNBase], read: Callable[..., Tensor], width: int, **settings: object) -> None:
        super().__init__()
        self.rnn = kind(5, WIDTH, **settings)
        self.read = read
        self.fc = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.read(self.rnn(x)))


def last_step(answer):
    return answer[0][:, -1]


def mean_over_time(answer):
    return answer[0].mean(1)


def all_steps(answer):
    return answer[0].flatten(1)


def all_steps_by_numbers(answer):
    return answer[0].reshape(-1, 6 * WIDTH)


def both_ends(answer):
    return torch.cat([answer[0][:, -1, :WIDTH], answer[0][:, 0, WIDTH:]], dim=1)


def last_step_first(answer):
    return answer[0][-1]


def both_last_states(answer):
    return torch.cat([answer[1][-2], answer[1][-1]], dim=-1)


def states_of_lstm(answer):
    hidden, cell = answer[1]
    return torch.cat([torch.tanh(hidden[-1]), cell[0]], dim=-1)


def states_by_level(answer):
    return answer[1].view(2, 2, -1, WIDTH)[1].transpose(0, 1).reshape(-1, 2 * WIDTH)


def attended(answer):
    return torch.matmul(torch.linspace(0, 1, 6).view(1, 1, 6), answer[0]).squeeze(1)


BOTH = {"bidirectional": True, "batch_first": True}
CASES = {
    "lstm": (nn.LSTM, last_step, WIDTH, {"batch_first": True}),
    "gru": (nn.GRU, last_step, WIDTH, {"batch_first": True}),
    "rnn": (nn.RNN, last_step, WIDTH, {"batch_first": True}),
    "rnn_relu": (nn.RNN, mean_over_time, WIDTH, {"batch_first": True, "nonlinearity": "relu"}),
    "without_bias": (nn.LSTM, last_step, WIDTH, {"batch_first": True, "bias": False}),
    "time_first": (nn.GRU, last_step_first, WIDTH, {"num_layers": 3}),
    "stacked_both_ways": (nn.LSTM, mean_over_time, 2 * WIDTH, {"num_layers": 2, **BOTH}),
    "flattened": (nn.GRU, all_steps, 6 * WIDTH, {"batch_first": True}),
    "flattened_by_numbers": (nn.GRU, all_steps_by_numbers, 6 * WIDTH, {"batch_first": True}),
    "both_ends": (nn.LSTM, both_ends, 2 * WIDTH, BOTH),
    "both_last_states": (nn.GRU, both_last_states, 2 * WIDTH, {"num_layers": 2, **BOTH}),
    "states_of_lstm": (nn.LSTM, states_of_lstm, 2 * WIDTH, {"num_layers": 2, "batch_first": True}),
    "states_by_level": (nn.GRU, states_by_level, 2 * WIDTH, {"num_layers": 2, **BOTH}),
    "attended": (nn.GRU, attended, 2 * WIDTH, BOTH),
    "projected": (nn.LSTM, mean_over_time, 6, {"num_layers": 2, "proj_size": 3, **BOTH}),
}


def network(name: str) -> fx.GraphModule:
    kind, read, width, settings = CASES[name]
    torch.manual_seed(3)
    return fx.symbolic_trace(Recurrent(kind, read, width, **settings).eval())


def inputs(module: nn.Module, batch: int = 2) -> tuple[Tensor]:
    x = torch.randn(batch, 6, 5, generator=torch.Generator().manual_seed(batch))
    return (x if module.rnn.batch_first else x.transpose(0, 1),)


@dataclass(frozen=True)
class Cut:
    """Some units of each cell, other ones in each."""

    module: fx.GraphModule
    count: int = 3

    @cached_property
    def structure(self) -> Structure:
        return analyse(self.module, inputs(self.module))

    @cached_property
    def chosen(self) -> list[tuple[Group, list[int]]]:
        generator = torch.Generator().manual_seed(0)
        groups = [group for group in find_groups(self.module, self.structure) if group.kind == "hidden"]
        return [(group, torch.randperm(len(group), generator=generator)[: self.count].tolist()) for group in groups]

    def narrower(self) -> fx.GraphModule:
        atoms = {group.atoms[unit] for group, units in self.chosen for unit in units}
        return without(self.module, self.structure, atoms, inputs(self.module))

    def silence(self, *roles: str) -> None:
        """Sets the units' weights of these roles to zero."""
        with torch.no_grad():
            for group, units in self.chosen:
                for one in group.slices:
                    if one.role in roles and (one.role == "input" or one.layer == "rnn"):
                        places = one.indices[torch.isin(one.units, torch.tensor(units))]
                        self.module.get_parameter(one.parameter).index_fill_(one.dim, places, 0)


READERS, MAKERS = ("input",), ("output", "other")


@pytest.mark.parametrize("silent", [READERS, MAKERS], ids=["unread", "mute"])
@pytest.mark.parametrize("name", CASES)
def test_silent_units_go_without_a_trace(name: str, silent: tuple[str, ...]) -> None:
    """Nothing reads them: not their own cell, nor a next level, nor another layer. Or all their gates are zero, biases
    too: then they answer zero for ever."""
    module = network(name)
    cut = Cut(module)
    cut.silence(*silent)
    narrower = cut.narrower()
    assert narrower.rnn.hidden_size == WIDTH - 3
    for batch in (1, 4):
        given = inputs(module, batch)
        torch.testing.assert_close(narrower(*given), module(*given), rtol=1e-5, atol=1e-6)


def test_units_whose_biases_speak_are_missed() -> None:
    """Zero weights alone don't silence a unit."""
    module = network("lstm")
    cut = Cut(module)
    cut.silence("output")
    assert (cut.narrower()(*inputs(module)) - module(*inputs(module))).abs().max() > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_what_is_removed_is_what_was_chosen(name: str) -> None:
    """As if nothing had ever made or read the removed units."""
    module = network(name)
    cut = Cut(module, count=2)
    narrower = cut.narrower()
    cut.silence(*MAKERS, *READERS)
    torch.testing.assert_close(narrower(*inputs(module, 3)), module(*inputs(module, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["stacked_both_ways", "flattened", "both_ends", "attended", "projected"])
def test_each_cell_chooses_its_own_units(name: str) -> None:
    module = network(name)
    assert len(Cut(module).chosen) == module.rnn.num_layers * (1 + module.rnn.bidirectional)


def test_the_given_network_is_left_as_it_is() -> None:
    module = network("stacked_both_ways")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    Cut(module).narrower()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


class Kept(nn.Module):
    """A layer of which no hidden unit can go."""

    def __init__(self, read: Callable[["Kept", Tensor], Tensor]) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 4, batch_first=True)
        self.other = nn.GRU(4, 4, batch_first=True)
        self.fc = nn.Linear(4, 4)
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self, x)


KEPT = {
    "answered": lambda net, x: net.rnn(x)[0],
    "added_to_an_input": lambda net, x: net.fc(net.rnn(x)[0] + x[:, :, :4]),
    "unknown": lambda net, x: net.fc(torch.fft.fft(net.rnn(x)[0]).real),
    "read_and_answered": lambda net, x: net.fc(net.rnn(x)[0])[:, :, 0] * net.rnn(x)[0][:, :, 1],
}


@pytest.mark.parametrize("name", KEPT)
def test_units_that_more_depends_on_stay(name: str) -> None:
    module = fx.symbolic_trace(Kept(KEPT[name]).eval())
    structure = analyse(module, (torch.randn(2, 6, 5),))
    assert not [group for group in find_groups(module, structure) if "rnn" in group.layers]


def test_a_projection_needs_more_units_than_it_has_outputs() -> None:
    module = network("projected")
    with pytest.raises(ValueError, match="3 units for a projection to 3"):
        Cut(module, count=WIDTH - 3).narrower()
