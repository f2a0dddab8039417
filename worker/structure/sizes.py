"""Sizes and bounds that a graph holds as numbers, or works out from other sizes, made right after a removal."""

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx

from worker.structure.analysis import Marked, Structure, function_name
from worker.structure.atoms import Marks
from worker.structure.rules.selecting import in_full


def mend_sizes(
    old: fx.GraphModule, new: fx.GraphModule, structure: Structure, gone: frozenset[int], inputs: Sequence[Tensor]
) -> None:
    """In place, in `new`, a copy of `old`. `inputs` are those that `structure` was found with."""
    before = {copy: node for node, copy in zip(old.graph.nodes, new.graph.nodes, strict=True)}
    mender = _Mender(new, structure, gone, before)
    with torch.no_grad():
        mender.run(*inputs)
    new.graph.lint()
    new.recompile()


class _Mender(fx.Interpreter):
    """Runs the changed network node by node, and before each node makes its sizes those that it should have."""

    def __init__(
        self, module: fx.GraphModule, structure: Structure, gone: frozenset[int], before: dict[fx.Node, fx.Node]
    ) -> None:
        super().__init__(module)
        self._structure, self._gone, self._before = structure, gone, before

    def run_node(self, n: fx.Node) -> Any:
        mend = _MENDERS.get(function_name(n)) if n.op in ("call_function", "call_method") else None
        if mend is not None and isinstance(self._structure.values[self._before[n]], Marked | tuple):
            mend(self, n)
        return super().run_node(n)

    def marked(self, node: fx.Node) -> Any:
        """The marks of what the node works on."""
        operand: Any = self._before[node].args[0]
        return self._structure.values.get(operand)

    def before_values(self, node: fx.Node) -> Any:
        """The arguments that the node had, as numbers."""
        return fx.map_arg(self._before[node].args, lambda one: self._structure.shapes[one])

    def parts(self, node: fx.Node) -> tuple[Any, Any]:
        """Of a node that answers with several tensors: their marks and sizes."""
        before = self._before[node]
        return self._structure.values[before], self._structure.shapes[before]

    def answered(self, node: fx.Node) -> list[int]:
        """The sizes that the node's answer should have."""
        before = self._before[node]
        marked, shape = self._structure.values[before], self._structure.shapes[before]
        return [self.kept(marks, length) for marks, length in zip(marked.dims, shape, strict=True)]

    def kept(self, marks: Marks, length: int) -> int:
        if marks is None:
            return length
        return sum(self._gone.isdisjoint(self._structure.atoms.now(mark)) for mark in marks)

    def loses(self, marks: Marks) -> bool:
        return marks is not None and self.kept(marks, len(marks)) < len(marks)

    def mended(self, node: fx.Node, sizes: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
        return [self._mended(node, size, value) for size, value in zip(sizes, wanted, strict=True)]

    def _mended(self, node: fx.Node, size: Any, wanted: int) -> Any:
        found = self.env[size] if isinstance(size, fx.Node) else size
        if found in (wanted, -1):
            return size
        if not isinstance(size, fx.Node) or found == 0:  # a width divided by more heads than it has channels left
            return wanted
        return self._scaled(node, size, Fraction(wanted, found))

    def _scaled(self, node: fx.Node, size: fx.Node, by: Fraction) -> fx.Node:
        """A size that may hold the batch too is multiplied, so that it still follows the batch."""
        with node.graph.inserting_before(node):
            times = node.graph.call_function(operator.mul, (size, by.numerator))
            result = node.graph.call_function(operator.floordiv, (times, by.denominator))
        self.env[result] = self.env[size] * by.numerator // by.denominator
        return result


def _given(node: fx.Node, first: int) -> tuple[list[Any], bool]:
    rest: Any = node.args[first:]
    in_list = len(rest) == 1 and isinstance(rest[0], list | tuple)
    return list(rest[0] if in_list else rest), in_list


def _sizes(mender: _Mender, node: fx.Node) -> None:
    sizes, in_list = _given(node, 1)
    mended = mender.mended(node, sizes, mender.answered(node))
    node.args = (node.args[0], mended) if in_list else (node.args[0], *mended)


def _created(mender: _Mender, node: fx.Node) -> None:
    sizes: Any = node.args[0]
    if isinstance(sizes, list | tuple):
        node.args = (mender.mended(node, sizes, mender.answered(node)), *node.args[1:])


def _created_like(mender: _Mender, node: fx.Node) -> None:
    sizes: Any = node.args[1]
    if isinstance(sizes, list | tuple):
        node.args = (node.args[0], mender.mended(node, sizes, mender.answered(node)), *node.args[2:])


def _unflatten(mender: _Mender, node: fx.Node) -> None:
    dim: Any = node.args[1]
    sizes, _ = _given(node, 2)
    answered = mender.answered(node)
    dim %= len(answered) - len(sizes) + 1
    node.args = (*node.args[:2], mender.mended(node, sizes, answered[dim : dim + len(sizes)]))


def _split(mender: _Mender, node: fx.Node) -> None:
    """Parts that were equally long may no longer be."""
    dim: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
    parts, shapes = mender.parts(node)
    lengths = [shape[dim] for shape in shapes]
    kept = [mender.kept(part[dim], length) for part, length in zip(parts, lengths, strict=True)]
    if kept != lengths:
        node.op, node.target = "call_function", torch.split
        node.args, node.kwargs = (node.args[0], kept, dim), {}


def _item(mender: _Mender, node: fx.Node) -> None:
    marked, index = mender.marked(node), mender.before_values(node)[1]
    if not isinstance(marked, Marked):
        return
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(part, torch.Size) for part in parts):
        return
    given: Any = node.args[1]
    mended = in_full(list(given) if isinstance(given, tuple) else [given], len(marked))
    dims = iter(marked.dims)
    for place, part in enumerate(in_full(parts, len(marked))):
        marks = next(dims) if part is not None else None
        if isinstance(part, slice) and part.step in (None, 1) and mender.loses(marks):
            assert marks is not None
            start, stop, _ = part.indices(len(marks))
            mended[place] = slice(mender.kept(marks[:start], start), mender.kept(marks[:stop], stop))
    node.args = (node.args[0], tuple(mended))


def _narrow(mender: _Mender, node: fx.Node) -> None:
    dim, start, length = mender.before_values(node)[1:4]
    marks = mender.marked(node)[dim]
    if mender.loses(marks):
        kept = [mender.kept(marks[:end], end) for end in (start, start + length)]
        node.args = (node.args[0], dim, kept[0], kept[1] - kept[0])


_MENDERS: dict[str, Callable[[_Mender, fx.Node], None]] = {
    "view": _sizes,
    "reshape": _sizes,
    "_unsafe_view": _sizes,
    "expand": _sizes,
    "unflatten": _unflatten,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _split,
    "tensor_split": _split,
    "unsafe_chunk": _split,
    "unsafe_split": _split,
    "getitem": _item,
    "narrow": _narrow,
    **dict.fromkeys(("zeros", "ones", "full", "empty"), _created),
    **dict.fromkeys(("new_zeros", "new_ones", "new_full", "new_empty"), _created_like),
}
