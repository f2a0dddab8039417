"""Linear layers, and products of matrices that are written out."""

from typing import Any

from torch import Tensor, nn

from worker.structure.analysis import Call, Marked, functions, layers


@layers(nn.Linear)
def linear_layer(call: Call) -> Marked:
    return _linear(call, call.structure.of(call.layer.weight), _bias_of(call, call.layer.bias))


@functions("linear")
def linear_function(call: Call) -> Marked:
    bias = call.marked(2, "bias") if call.given(2, "bias") is not None else None
    call.note_weight(1, "weight", out=0, into=1)
    return _linear(call, call.marked(1, "weight"), bias)


def _bias_of(call: Call, bias: Tensor | None) -> Marked | None:
    return None if bias is None else call.structure.of(bias)


def _linear(call: Call, weight: Marked, bias: Marked | None) -> Marked:
    """`weight` is (out, in)."""
    marked = call.marked()
    call.join(weight[1], marked[-1])
    if bias is not None:
        call.join(weight[0], bias[0])
    return marked.replaced(-1, weight[0])


@functions("addmm")
def addmm(call: Call) -> Marked:
    bias, marked, weight = call.marked(0), call.marked(1, "mat1"), call.marked(2, "mat2")
    call.join(weight[0], marked[1])
    call.note_weight(2, "mat2", out=1, into=0)
    if call.shape(0)[-1] == call.answer.shape[-1]:
        call.join(weight[1], bias[-1])
    return marked.replaced(1, weight[1])


@functions("matmul", "bmm", "mm", "__matmul__")
def matmul(call: Call) -> Any:
    first, second = call.marked(0), call.marked(1, "other" if "other" in call.node.kwargs else "mat2")
    if len(first) < 2 or len(second) < 2:
        return call.freeze_all()
    call.join(first[-1], second[-2])
    if len(second) == 2:
        call.note_weight(1, "other", out=1, into=0)
        return first.replaced(-1, second[-1])
    if len(first) != len(second) or len(first) != call.answer.ndim:
        return call.freeze_all()
    return _batched(call, first, second)


def _batched(call: Call, first: Marked, second: Marked) -> Marked:
    """Attention that is written out: what stands side by side are heads, and their inner width stays."""
    call.freeze(first[-1], second[-2])
    shapes = [call.shape(position) for position in (0, 1)]
    if len(first) > 3:
        call.freeze(first[0], second[0])
    side_by_side = []
    for dim in range(len(first) - 2):
        same = shapes[0][dim] == shapes[1][dim]
        marks = call.join(first[dim], second[dim]) if same else None
        if not same:
            call.freeze(first[dim], second[dim])
        call.structure.heads += marks or []
        side_by_side.append(marks)
    return Marked((*side_by_side, first[-2], second[-1]))
