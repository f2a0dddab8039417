"""Views: how what was written through one gets back into the tensor that it shows a part of.

A view is taken for one only where the operator always answers one. `reshape` or `contiguous` answer a copy as well, and
so they are none.
"""

import operator
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from worker.loading.lifting.call import Call, example_of, operator_name

aten = torch.ops.aten
Write = Callable[..., fx.Node]
PutBack = Callable[[Write, Call, fx.Node], fx.Node]

_RESHAPED = ("view", "_unsafe_view", "unsqueeze", "squeeze", "unflatten")
_SAME = ("alias", "detach", "lift_fresh")
_PARTS = ("chunk", "split", "split_with_sizes", "tensor_split", "unbind")
VIEWS = frozenset(
    f"aten::{name}"
    for name in (*_RESHAPED, *_SAME, *_PARTS, "slice", "select", "narrow", "transpose", "t", "permute", "diagonal")
)


def writer(graph: fx.Graph) -> Write:
    """Writes a call where the graph is being written, with the example of its answer."""

    def write(target: Callable[..., Any], *arguments: Any, **named: Any) -> fx.Node:
        node = graph.call_function(target, arguments, named)
        node.meta["val"] = target(*fx.map_arg(arguments, example_of), **fx.map_arg(named, example_of))
        return node

    return write


def is_view(node: fx.Node) -> bool:
    """Whether the node's value always is a part of its first argument, or another form of it."""
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and operator_name(node.args[0]).removeprefix("aten::") in _PARTS
    return operator_name(node) in VIEWS and isinstance(node.args[0], fx.Node)


def viewed(view: fx.Node) -> fx.Node:
    """What it is a view of. A part of a split is one of the whole that was split."""
    source = view.args[0]
    assert isinstance(source, fx.Node)
    return viewed(source) if view.target is operator.getitem else source


def put_back(write: Write, view: fx.Node, value: fx.Node) -> fx.Node:
    """The tensor that `view` is a view of, as it is when the view has become `value`."""
    if view.target is operator.getitem:
        return _part_put_back(write, view, value)
    call = Call(view, {})
    name = call.name.removeprefix("aten::")
    if name in _SAME:
        return value
    if name in _RESHAPED:
        return write(aten.reshape_as.default, value, call["self"])
    return _RULES[name](write, call, value)


def _part_put_back(write: Write, view: fx.Node, value: fx.Node) -> fx.Node:
    whole, position = view.args
    assert isinstance(whole, fx.Node)
    assert isinstance(position, int)
    count = len(example_of(whole))
    parts = [value if number == position % count else write(operator.getitem, whole, number) for number in range(count)]
    call = Call(whole, {})
    join = aten.stack.default if call.name == "aten::unbind" else aten.cat.default
    return write(join, parts, call["dim"])


def _slice_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    if call["step"] != 1:
        whole, *place = call.arguments.values()
        return write(aten.slice_scatter.default, whole, value, *place)
    return _between(write, call, call["start"] or 0, value, call["end"])


def _select_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    index = call["index"]
    end = None if index == -1 else _sum(write, index, 1)
    return _between(write, call, index, write(aten.unsqueeze.default, value, call["dim"]), end)


def _narrow_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    end = _sum(write, call["start"], call["length"])
    return _between(write, call, call["start"], value, None if call["start"] != 0 and end == 0 else end)


def _between(write: Write, call: Call, start: Any, value: fx.Node, end: Any) -> fx.Node:
    """`value` in the place from `start` to `end`. Joined from parts, which every tracer and exporter knows."""
    whole, dimension = call["self"], call["dim"]
    parts = [] if start == 0 else [write(aten.slice.Tensor, whole, dimension, 0, start)]
    parts.append(value)
    if end is not None and end != sys.maxsize:
        parts.append(write(aten.slice.Tensor, whole, dimension, end, sys.maxsize))
    return write(aten.cat.default, parts, dimension) if len(parts) > 1 else value


def _sum(write: Write, one: Any, other: Any) -> Any:
    if isinstance(one, fx.Node) or isinstance(other, fx.Node):
        return write(operator.add, one, other)
    return one + other


def _transpose_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    return write(aten.transpose.int, value, call["dim0"], call["dim1"])


def _t_put_back(write: Write, _call: Call, value: fx.Node) -> fx.Node:
    return write(aten.t.default, value)


def _permute_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    rank = len(call["dims"])
    order = [one % rank for one in call["dims"]]
    return write(aten.permute.default, value, sorted(range(rank), key=order.__getitem__))


def _diagonal_put_back(write: Write, call: Call, value: fx.Node) -> fx.Node:
    place = [call[name] for name in ("offset", "dim1", "dim2")]
    return write(aten.diagonal_scatter.default, call["self"], value, *place)


_RULES: dict[str, PutBack] = {
    "slice": _slice_put_back,
    "select": _select_put_back,
    "narrow": _narrow_put_back,
    "transpose": _transpose_put_back,
    "t": _t_put_back,
    "permute": _permute_put_back,
    "diagonal": _diagonal_put_back,
}
