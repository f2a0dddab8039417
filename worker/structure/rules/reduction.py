"""Sums, means and the like over dimensions: the dimensions go, or stay with length one."""

from typing import Any

from torch import Tensor

from worker.structure.analysis import Call, Marked, functions


@functions("sum", "mean", "amax", "amin", "var", "std", "norm", "linalg_vector_norm", "logsumexp")
def reduction(call: Call) -> Any:
    marked = call.marked()
    at = 2 if "norm" in str(call.node.target) else 1
    dims = call.given(at, "dim")
    if not isinstance(call.answer, Tensor) or isinstance(dims, bool):
        return call.freeze_all()
    chosen = range(len(marked)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {dim % len(marked) for dim in chosen} or set(range(len(marked)))
    for dim in gone:
        call.structure.statistics += marked[dim] or []
    keeps = call.answer.ndim == len(marked)
    return Marked(
        tuple(None if dim in gone else marks for dim, marks in enumerate(marked.dims) if keeps or dim not in gone)
    )
