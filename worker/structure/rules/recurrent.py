"""Recurrent layers: a hidden unit owns a row for each gate, a column of the recurrent weights, and what reads it.

Each cell (one for each layer of the stack and direction) has units of its own; torch gives all cells of a layer one
width, so that they lose equally many: `Structure.cells` says which axes these are.
"""

from typing import Any

from torch import nn

from worker.structure.analysis import Call, Marked, layers
from worker.structure.atoms import Mark, Marks
from worker.structure.rules.projected import projected

GATES: dict[type[nn.Module], int] = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}

GATES_OF_CELLS: dict[type[nn.Module], int] = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}


@layers(nn.LSTM, nn.GRU, nn.RNN)
def recurrent(call: Call) -> Any:
    layer, marked = call.layer, call.marked()
    if layer.proj_size:
        return projected(call)
    call.freeze(*marked.dims[:-1])
    level: Marks = marked[-1]
    cells = []
    for number in range(layer.num_layers):
        level, of_level = _level(call, number, level)
        cells += of_level
    _join_first_state(call, cells)
    call.structure.cells.append([mark for cell in cells for mark in cell])
    call.structure.hidden += [mark for cell in cells for mark in cell]
    return _answer(call, marked, level, cells)


def _level(call: Call, number: int, inputs: Marks) -> tuple[list[Mark], list[list[Mark]]]:
    """The marks that the next layer of the stack reads, and those of the cells."""
    cells = [_cell(call, f"_l{number}{way}", inputs) for way in ("", "_reverse")[: 1 + call.layer.bidirectional]]
    return [mark for cell in cells for mark in cell], cells


def _cell(call: Call, suffix: str, inputs: Marks) -> list[Mark]:
    of, layer = call.structure.of, call.layer
    recurrent_weight = of(getattr(layer, f"weight_hh{suffix}"))
    units = recurrent_weight[1] or []
    call.join(of(getattr(layer, f"weight_ih{suffix}"))[1], inputs)
    for tensor in (getattr(layer, name) for name in layer._flat_weights_names if name.endswith(suffix)):
        call.join(units * GATES[type(layer)], of(tensor)[0])
    return units


def _answer(call: Call, marked: Marked, level: Marks, cells: list[list[Mark]]) -> Any:
    outputs, state = Marked((*marked.dims[:-1], level)), call.answer[1]
    units = _of_all_cells(call, cells) if any(_reads_state(user) for user in call.node.users) else None
    states = [Marked((*[None] * (one.ndim - 1), units)) for one in (state if isinstance(state, tuple) else [state])]
    return outputs, tuple(states) if isinstance(state, tuple) else states[0]


def _join_first_state(call: Call, cells: list[list[Mark]]) -> None:
    given: Any = call.node.args[1] if len(call.node.args) > 1 else call.node.kwargs.get("hx")
    for node in () if given is None else given if isinstance(given, tuple) else (given,):
        state = call.marked_node(node)
        call.freeze(*state.dims[:-1])
        call.join(_of_all_cells(call, cells), state[-1])


@layers(nn.LSTMCell, nn.GRUCell, nn.RNNCell)
def cell(call: Call) -> Any:
    """One step of one cell."""
    layer, of, marked = call.layer, call.structure.of, call.marked()
    units = of(layer.weight_hh)[1]
    call.join(of(layer.weight_ih)[1], marked[-1])
    for tensor in layer.parameters():
        call.join((units or []) * GATES_OF_CELLS[type(layer)], of(tensor)[0])
    given: Any = call.node.args[1] if len(call.node.args) > 1 else None
    for node in () if given is None else given if isinstance(given, tuple) else (given,):
        call.join(units, call.marked_node(node)[-1])
    call.structure.hidden += units or []
    state = marked.replaced(-1, units)
    return (state, state) if isinstance(call.answer, tuple) else state


def _reads_state(user: Any) -> bool:
    return bool(user.users) and user.args[1] == 1


def _of_all_cells(call: Call, cells: list[list[Mark]]) -> Marks:
    """A state stacks all cells, so that they must lose the same units."""
    first, *others = cells
    for other in others:
        call.join(first, other)
    return first
