"""Views and transpositions: the same elements, their indices arranged anew."""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from torch import nn

from worker.structure.analysis import Call, Marked, functions, layers
from worker.structure.atoms import NEVER, Atoms, Mark, Marks


@layers(nn.Flatten, nn.Unflatten)
@functions("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "_unsafe_view")
def view(call: Call) -> Marked:
    """Runs of old dimensions and runs of new ones hold the same elements; each is arranged anew by itself."""
    marked, old, new = call.marked(), call.shape(), call.answer.shape
    dims: list[Marks] = []
    for olds, news in _runs(old, new):
        axes = [_axis(call, dim, new[dim]) for dim in news]
        dims += _run(call.atoms, [marked[dim] for dim in olds], [old[dim] for dim in olds], axes)
    return Marked(tuple(dims))


def _axis(call: Call, dim: int, length: int) -> list[Mark]:
    return [NEVER] * length if (call.node, dim) in call.structure.fixed else call.atoms.axis(length)


def _runs(old: Sequence[int], new: Sequence[int]) -> list[tuple[range, range]]:
    runs, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        i_end, j_end = min(i + 1, len(old)), min(j + 1, len(new))
        while prod(old[i:i_end]) != prod(new[j:j_end]):
            if prod(old[i:i_end]) < prod(new[j:j_end]):
                i_end += 1
            else:
                j_end += 1
        runs.append((range(i, i_end), range(j, j_end)))
        i, j = i_end, j_end
    return runs


def _run(atoms: Atoms, marks: list[Marks], old: list[int], axes: list[list[Mark]]) -> list[Marks]:
    """`axes` are new ones, one for each dimension of the answer."""
    if all(one is None for one in marks):
        return [None] * len(axes)
    if len(old) == len(axes) == 1:
        return marks
    every = [one or [NEVER] * length for one, length in zip(marks, old, strict=True)]
    flat = [sum(parts, NEVER) for parts in product(*every)]
    return [flat] if len(axes) == 1 else _split(atoms, flat, axes)


def _split(atoms: Atoms, flat: list[Mark], axes: list[list[Mark]]) -> list[Marks]:
    """An index goes if one of its places goes: the head or the place within the head."""
    for mark, parts in zip(flat, product(*axes), strict=True):
        atoms.join(mark, sum(parts, NEVER))
    return list(axes)


@functions("permute", "transpose", "t", "swapaxes", "movedim", "moveaxis", "adjoint")
def permute(call: Call) -> Marked:
    marked = call.marked()
    order = _order(call, len(marked))
    return Marked(tuple(marked[dim] for dim in order))


def _order(call: Call, dimensions: int) -> list[int]:
    """Which old dimension stands at each place, found by permuting a tensor whose sizes tell."""
    import torch

    probe = torch.empty(tuple(range(1, dimensions + 1)), device="meta")
    target: Any = call.node.target
    arguments = call.args[1:]
    moved = getattr(probe, target if isinstance(target, str) else target.__name__)(*arguments, **_without_input(call))
    return [size - 1 for size in moved.shape]


def _without_input(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.kwargs.items() if name != "input"}


@functions("expand", "expand_as", "broadcast_to")
def expand(call: Call) -> Marked:
    marked, old = call.marked(), call.shape()
    new = len(call.answer.shape) - len(marked)
    kept = [marks if old[dim] == call.answer.shape[dim + new] else None for dim, marks in enumerate(marked.dims)]
    return Marked((*[None] * new, *kept))


@functions("repeat", "tile")
def repeat(call: Call) -> Any:
    marked, old = call.marked(), call.shape()
    new = len(call.answer.shape) - len(marked)
    times = [call.answer.shape[dim + new] // length for dim, length in enumerate(old)]
    repeated = [marks * count if marks is not None else None for marks, count in zip(marked.dims, times, strict=True)]
    return Marked((*[None] * new, *repeated))
