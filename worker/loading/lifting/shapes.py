"""Sizes, views, slices and conversions, written so that no size is fixed."""

import math
import operator
import sys
from typing import Any

import torch
from torch import fx

from worker.loading.lifting.call import Call, example_of, shape_of
from worker.loading.lifting.layer import Function, writes


@writes("size", "sym_size")
def size(call: Call) -> Function:
    return Function("size", (call["self"], call["dim"]))


@writes("numel", "sym_numel")
def numel(call: Call) -> Function:
    return Function("numel", (call["self"],))


@writes("view", "reshape", "_unsafe_view")
def flatten(call: Call) -> Function | None:
    """A view that keeps the first dimension and joins all others, without the number of features in it."""
    before = shape_of(call["self"])
    sizes = call["size"] if "size" in call else call["shape"]
    if len(before) < 3 or len(sizes) != 2 or not _keeps(sizes[0], before[0]) or isinstance(sizes[1], fx.Node):
        return None
    joined = [one for one in before[1:] if isinstance(one, int)]
    is_flat = len(joined) == len(before) - 1 and sizes[1] in (-1, math.prod(joined))
    return Function(torch.flatten, (call["self"], 1)) if is_flat else None


def _keeps(size: Any, before: Any) -> bool:
    example = example_of(size)
    return bool(size == -1 or (example is not None and example == before))


@writes("view", "reshape", "_unsafe_view")
def view(call: Call) -> Function | None:
    if call.node.target is torch.ops.aten.view.dtype:
        return None
    sizes = call["size"] if "size" in call else call["shape"]
    method = "view" if call.name == "aten::view" else "reshape"
    return Function(method, (call["self"], list(sizes)))


@writes("slice")
def slice_dimension(call: Call) -> Function | None:
    dimension, rank = call["dim"], len(shape_of(call["self"]))
    if rank == 0:
        return None
    end = None if call["end"] == sys.maxsize else call["end"]
    cut = slice(None if call["start"] == 0 else call["start"], end, None if call["step"] == 1 else call["step"])
    before = (slice(None),) * (dimension % rank)
    return Function(operator.getitem, (call["self"], (*before, cut)))


@writes("index")
def index(call: Call) -> Function:
    positions = tuple(slice(None) if one is None else one for one in call["indices"])
    return Function(operator.getitem, (call["self"], positions))


@writes("full")
def full_of_truth(call: Call) -> Function | None:
    """A tensor of one truth value; tracing takes numbers only."""
    if not isinstance(call["fill_value"], bool):
        return None
    return Function(torch.full, (call["size"], int(call["fill_value"])), {"dtype": call["dtype"] or torch.bool})


@writes("to", "_to_copy")
def convert(call: Call) -> Function | None:
    """A change of the element type; the place is left to whoever runs the network."""
    if "other" in call:
        return Function("type_as", (call["self"], call["other"]))
    if "dtype" not in call or call["dtype"] is None:
        return (
            Function("contiguous", (call["self"],)) if call.name == "aten::to" else Function("clone", (call["self"],))
        )
    return Function("to", (call["self"], call["dtype"]))
