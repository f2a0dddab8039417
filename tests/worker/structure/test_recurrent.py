"""Hidden units: removed exactly where nothing uses them, followed to all their readers, left where they can't be."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from worker.structure.following import NotFollowed
from worker.structure.recurrent import HiddenUnits, hidden_units, least, without_units

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


def chosen(units: HiddenUnits, count: int = 3) -> list[list[int]]:
    """Other units in each cell."""
    generator = torch.Generator().manual_seed(0)
    return [sorted(torch.randperm(units.width, generator=generator)[:count].tolist()) for _ in range(units.cells)]


def silence_readers(module: nn.Module, units: HiddenUnits, removed: list[list[int]]) -> None:
    """Nothing reads the units any more: not their own cell, nor a next level, nor another layer."""
    gone = torch.tensor([cell * units.width + unit + 1 for cell, of in enumerate(removed) for unit in of])
    with torch.no_grad():
        for use in units.uses:
            if use.dim == 1:
                weight = module.get_submodule(use.owner).get_parameter(use.name)
                weight[:, torch.isin(use.units, gone)] = 0


def silence_makers(module: nn.Module, units: HiddenUnits, removed: list[list[int]]) -> None:
    """All gates of the units are zero, biases too: they answer zero for ever."""
    gone = torch.tensor([cell * units.width + unit + 1 for cell, of in enumerate(removed) for unit in of])
    with torch.no_grad():
        for use in units.uses:
            if use.dim == 0 and use.owner == "rnn":
                getattr(module.rnn, use.name)[torch.isin(use.units, gone)] = 0


@pytest.mark.parametrize("silence", [silence_readers, silence_makers])
@pytest.mark.parametrize("name", CASES)
def test_silent_units_go_without_a_trace(name: str, silence: Callable[..., None]) -> None:
    module = network(name)
    units = hidden_units(module, "rnn", inputs(module))
    removed = chosen(units)
    silence(module, units, removed)
    narrower = without_units(module, units, removed, inputs(module))
    assert narrower.rnn.hidden_size == WIDTH - 3
    for batch in (1, 4):
        given = inputs(module, batch)
        torch.testing.assert_close(narrower(*given), module(*given), rtol=1e-5, atol=1e-6)


def test_units_that_speak_are_missed() -> None:
    """Zero weights don't silence a unit whose biases are not zero."""
    module = network("lstm")
    units = hidden_units(module, "rnn", inputs(module))
    with torch.no_grad():
        for weight in (module.rnn.weight_ih_l0, module.rnn.weight_hh_l0):
            weight[0::WIDTH] = 0
    narrower = without_units(module, units, [[0]], inputs(module))
    assert (narrower(*inputs(module)) - module(*inputs(module))).abs().max() > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_what_is_removed_is_what_was_chosen(name: str) -> None:
    """As if nothing had ever read or made the removed units: compared with those weights set to zero."""
    module = network(name)
    units = hidden_units(module, "rnn", inputs(module))
    removed = chosen(units, 2)
    narrower = without_units(module, units, removed, inputs(module))
    silence_makers(module, units, removed)
    silence_readers(module, units, removed)
    torch.testing.assert_close(narrower(*inputs(module, 3)), module(*inputs(module, 3)), rtol=1e-5, atol=1e-6)


def test_the_given_network_is_left_as_it_is() -> None:
    module = network("stacked_both_ways")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    units = hidden_units(module, "rnn", inputs(module))
    without_units(module, units, chosen(units), inputs(module))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_weights_of_a_unit_are_all_that_go_with_it() -> None:
    module = network("stacked_both_ways")
    units = hidden_units(module, "rnn", inputs(module))
    narrower = without_units(module, units, [[0]] * 4, inputs(module))
    lost = sum(p.numel() for p in module.parameters()) - sum(p.numel() for p in narrower.parameters())
    counted = sum(units.weights(module, cell)[0].numel() for cell in range(4))
    # What the removed unit of one cell sends to those of the next level, and to itself, is counted at both ends.
    assert counted == lost + 4 * 4 + 2 * 2 * 4 * 1


def test_the_least_of_each_cell() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    assert least(scores, 2) == [[1, 3], [0, 1]]


class Unfollowed(nn.Module):
    def __init__(self, read: Callable[..., Tensor], **settings: object) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 4, batch_first=True, **settings)
        self.other = nn.GRU(4, 4, batch_first=True)
        self.fc = nn.Linear(4, 4)
        self.first = nn.Parameter(torch.ones(1, 1, 4))
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self, x)


REFUSED = {
    "answers": (lambda net, x: net.rnn(x)[0], "answers with its units"),
    "sum_of_units": (lambda net, x: net.rnn(x)[0].sum(-1), "several units"),
    "added": (lambda net, x: net.fc(net.rnn(x)[0] + net.fc(x[:, :, :4])), "as many places"),
    "first_state": (lambda net, x: net.fc(net.rnn(x, net.first.expand(1, x.shape[0], 4))[0]), "first state"),
    "state_of_another": (lambda net, x: net.fc(net.other(x[:, :, :4], net.rnn(x)[1])[0]), "first state of `other`"),
    "read_elsewhere": (lambda net, x: net.fc(net.rnn(x)[0]) + net.fc(x[:, :, :4]), "at another place"),
    "softmax": (lambda net, x: net.fc(torch.softmax(net.rnn(x)[0], -1)), "softmax"),
    "one_unit": (lambda net, x: net.fc(net.rnn(x)[0])[:, :, 0] * net.rnn(x)[0][:, :, 1], "answers with its units"),
    "own_units": (lambda net, x: net.fc(net.rnn(torch.cat([net.rnn(x)[0], x[:, :, :1]], -1))[0]), "its own units"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cant_be_followed_is_told(name: str) -> None:
    read, reason = REFUSED[name]
    module = fx.symbolic_trace(Unfollowed(read).eval())
    with pytest.raises(NotFollowed, match=reason):
        hidden_units(module, "rnn", (torch.randn(2, 6, 5),))


def test_tied_weights_are_told() -> None:
    net = Unfollowed(lambda net, x: net.fc(net.rnn(x)[0]) + net.fc(net.other(x[:, :, :4])[0]))
    net.other.weight_hh_l0 = net.rnn.weight_hh_l0
    with pytest.raises(NotFollowed, match=r"those of `other\.weight_hh_l0`"):
        hidden_units(fx.symbolic_trace(net), "rnn", (torch.randn(2, 6, 5),))


def test_a_number_that_would_choose_other_units_is_told() -> None:
    """The first of three parts: of eight units it is three, of six it is two."""
    module = fx.symbolic_trace(Recurrent(nn.GRU, lambda answer: answer[0].chunk(3, -1)[0], 3, batch_first=True))
    units = hidden_units(module, "rnn", inputs(module))
    with pytest.raises(NotFollowed, match="can't be changed"):
        without_units(module, units, [[6, 7]], inputs(module))


def test_a_step_that_would_choose_other_units_is_told() -> None:
    """Every second unit: without the first and the fourth, others stand there."""
    module = fx.symbolic_trace(Recurrent(nn.GRU, lambda answer: answer[0][..., ::2], 4, batch_first=True))
    units = hidden_units(module, "rnn", inputs(module))
    with pytest.raises(NotFollowed, match="other units afterwards"):
        without_units(module, units, [[0, 3]], inputs(module))
