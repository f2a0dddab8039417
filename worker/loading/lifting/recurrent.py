"""Recurrent layers and cells.

The operators answer `(outputs, hidden)` or `(outputs, hidden, cell)`, the modules `(outputs, hidden)` or
`(outputs, (hidden, cell))`; what reads the answer is rewired. A first state made of zeros is left out: the module
makes it itself, for any batch.
"""

import operator
from typing import Any

from torch import fx, nn

from worker.loading.lifting.call import Call, operator_name
from worker.loading.lifting.layer import Layer, lifts

ZEROS = ("aten::zeros", "aten::zeros_like", "aten::new_zeros")
SAME_VALUES = ("aten::contiguous", "aten::to", "aten::expand", "aten::detach", "aten::clone")
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "aten::lstm": (nn.LSTM, {}),
    "aten::gru": (nn.GRU, {}),
    "aten::rnn_tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "aten::rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
}
GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}
SETTINGS = ("has_biases", "num_layers", "dropout", "bidirectional", "batch_first")
CELLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "aten::lstm_cell": (nn.LSTMCell, {}),
    "aten::gru_cell": (nn.GRUCell, {}),
    "aten::rnn_tanh_cell": (nn.RNNCell, {"nonlinearity": "tanh"}),
    "aten::rnn_relu_cell": (nn.RNNCell, {"nonlinearity": "relu"}),
}


@lifts("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Layer | None:
    if "batch_first" not in call or not call.are_constant(*SETTINGS):  # packed sequences have no such setting
        return None
    weights = call["params"]
    if not all(call.is_stored(weight) for weight in weights) or not _is_read_by_position(call.node):
        return None
    module = _recurrent_module(call, weights)
    tensors = dict(zip(module._flat_weights_names, weights, strict=True))
    state = _given_state(call["hx"])
    inputs = (call["input"],) if state is None else (call["input"], state)
    return Layer(module, inputs, tensors, rewire=_nest_lstm_state if isinstance(module, nn.LSTM) else None)


def _recurrent_module(call: Call, weights: list[fx.Node]) -> nn.RNNBase:
    kind, settings = KINDS[call.name]
    hidden = call.stored(weights[0]).shape[0] // GATES[kind]
    recurrent_width = int(call.stored(weights[1]).shape[1])
    if recurrent_width != hidden:
        settings = settings | {"proj_size": recurrent_width}
    module: nn.RNNBase = kind(
        call.stored(weights[0]).shape[1],
        hidden,
        num_layers=call["num_layers"],
        bias=call["has_biases"],
        batch_first=call["batch_first"],
        dropout=call["dropout"],
        bidirectional=call["bidirectional"],
        device="meta",
        **settings,
    )
    return module


@lifts("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def recurrent_cell(call: Call) -> Layer | None:
    tensors = {
        "weight_ih": call["w_ih"],
        "weight_hh": call["w_hh"],
        "bias_ih": call["b_ih"],
        "bias_hh": call["b_hh"],
    }
    if not (call.are_stored(*tensors.values()) and call.is_stored(call["w_ih"]) and call.is_stored(call["w_hh"])):
        return None
    kind, settings = CELLS[call.name]
    width, hidden = call.stored(call["w_ih"]).shape[1], call.stored(call["w_hh"]).shape[1]
    module = kind(width, hidden, bias=call["b_ih"] is not None, device="meta", **settings)
    state = tuple(call["hx"]) if isinstance(call["hx"], list | tuple) else call["hx"]
    return Layer(module, (call["input"], state), tensors)


def _given_state(state: Any) -> Any:
    """The first state as the module takes it; None if it is zero."""
    parts = state if isinstance(state, list | tuple) else [state]
    if all(_is_zero(part) for part in parts):
        return None
    return tuple(state) if isinstance(state, list | tuple) else state


def _is_zero(state: Any) -> bool:
    while isinstance(state, fx.Node) and operator_name(state) in SAME_VALUES:
        state = state.args[0]
    return isinstance(state, fx.Node) and (operator_name(state) in ZEROS or _is_full_of_zeros(state))


def _is_full_of_zeros(node: fx.Node) -> bool:
    return operator_name(node) == "aten::full" and isinstance(node.args[1], int | float) and node.args[1] == 0


def _is_read_by_position(node: fx.Node) -> bool:
    return all(user.target is operator.getitem for user in node.users)


def _nest_lstm_state(graph: fx.Graph, layer: fx.Node) -> dict[fx.Node, fx.Node]:
    for reader in list(layer.users):
        position = reader.args[1]
        if position == 0:
            continue
        with graph.inserting_before(reader):
            state = graph.call_function(operator.getitem, (layer, 1))
        reader.args = (state, int(str(position)) - 1)
    return {}
