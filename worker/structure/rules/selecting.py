"""Taking parts of tensors, and putting tensors together."""

from typing import Any

import torch
from torch import Tensor

from worker.structure.analysis import Call, Marked, functions
from worker.structure.atoms import NEVER, Marks


@functions("cat", "concat")
def concatenation(call: Call) -> Any:
    operands: Any = call.node.args[0]
    dim = call.given(1, "dim", 0)
    parts = [call.marked_node(node) for node in operands]
    lengths = [call.structure.shapes[node][dim] for node in operands]
    joined = _joined(call, parts, besides=dim % len(parts[0]))
    if all(part[dim] is None for part in parts):
        return joined.replaced(dim, None)
    each = [part[dim] or [NEVER] * length for part, length in zip(parts, lengths, strict=True)]
    return joined.replaced(dim, [mark for marks in each for mark in marks])


@functions("stack")
def stack(call: Call) -> Any:
    operands: Any = call.node.args[0]
    dim = call.given(1, "dim", 0) % call.answer.ndim
    joined = _joined(call, [call.marked_node(node) for node in operands])
    return Marked((*joined.dims[:dim], None, *joined.dims[dim:]))


def _joined(call: Call, parts: list[Marked], besides: int | None = None) -> Marked:
    first, *others = parts
    for other in others:
        for dim in range(len(first)):
            if dim != besides:
                first = first.replaced(dim, call.join(first[dim], other[dim]))
    return first


@functions("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split")
def split(call: Call) -> Any:
    marked, dim = call.marked(), call.given(2, "dim", 0)
    parts, start = [], 0
    for tensor in call.answer:
        end = start + tensor.shape[dim]
        parts.append(marked.replaced(dim, _part(marked[dim], slice(start, end))))
        start = end
    return tuple(parts)


@functions("unbind")
def unbind(call: Call) -> Any:
    marked, dim = call.marked(), call.given(1, "dim", 0)
    call.freeze(marked[dim])
    return (_without(marked, dim),) * len(call.answer)


@functions("select")
def select(call: Call) -> Any:
    marked, dim = call.marked(), call.given(1, "dim")
    call.freeze(marked[dim])
    return _without(marked, dim)


@functions("narrow", "slice")
def narrow(call: Call) -> Any:
    marked, dim, start = call.marked(), call.given(1, "dim", 0), call.given(2, "start", 0)
    if not isinstance(start, int):
        return call.freeze_all()
    length = call.answer.shape[dim]
    return marked.replaced(dim, _part(marked[dim], slice(start, start + length)))


@functions("getitem", "__getitem__")
def item(call: Call) -> Any:
    operand: Any = call.node.args[0]
    of, index = call.structure.values[operand], call.args[1]
    if not isinstance(of, Marked):
        return of[index]
    parts = list(index) if isinstance(index, tuple | list) else [index]
    return _indexed(call, of, in_full(parts, len(of)))


@functions("index")
def index(call: Call) -> Any:
    """As `item`, where None in the list stands for all of a dimension."""
    parts = [slice(None) if part is None else part for part in call.args[1]]
    return _indexed(call, call.marked(), in_full(parts, len(call.marked())))


@functions("index_select")
def index_select(call: Call) -> Any:
    marked, dim = call.marked(), call.given(1, "dim")
    call.freeze(marked[dim])
    return marked.replaced(dim, None)


def in_full(parts: list[Any], dimensions: int) -> list[Any]:
    """An index that says something of every dimension."""
    rest = [slice(None)] * (dimensions - sum(part is not None and part is not ... for part in parts))
    if ... not in parts:
        return parts + rest
    at = parts.index(...)
    return parts[:at] + rest + parts[at + 1 :]


def _indexed(call: Call, of: Marked, parts: list[Any]) -> Any:
    """Tables that stand side by side put their own dimensions, broadcast, in the place of those they look up."""
    tables = [at for at, part in enumerate(parts) if isinstance(part, Tensor)]
    apart = tables and tables != list(range(tables[0], tables[0] + len(tables)))
    if apart or any(parts[at].dtype == torch.bool for at in tables):
        return call.freeze_all()
    looked_up = max((parts[at].ndim for at in tables), default=0)
    dims: list[Marks] = []
    left = iter(of.dims)
    for at, part in enumerate(parts):
        marks = None if part is None else next(left)
        if isinstance(part, slice) and part.step in (None, 1):
            dims.append(_part(marks, part))
            continue
        call.freeze(marks)
        dims += [None] * (looked_up if at in tables[:1] else part is None or isinstance(part, slice))
    return Marked(tuple(dims))


def _part(marks: Marks, part: slice) -> Marks:
    return None if marks is None else marks[part]


def _without(marked: Marked, dim: int) -> Marked:
    dim %= len(marked)
    return Marked((*marked.dims[:dim], *marked.dims[dim + 1 :]))
