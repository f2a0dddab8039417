"""Scaled dot-product attention: heads stand side by side, and their inner width stays, which sets the scale."""

from typing import Any

from worker.structure.analysis import Call, Marked, functions


@functions("scaled_dot_product_attention")
def attention(call: Call) -> Any:
    query, key, value = (call.marked(position, name) for position, name in enumerate(("query", "key", "value")))
    shapes = [call.shape(position) for position in range(3)]
    if len({shape[:-2] for shape in shapes}) > 1:
        return call.freeze_all()
    for marked in (query, key, value):
        call.freeze(marked[0], marked[-1])
    call.freeze(query[-2], key[-2], value[-2])
    side_by_side = [call.join(call.join(query[dim], key[dim]), value[dim]) for dim in range(len(query) - 2)]
    for marks in side_by_side:
        call.structure.heads += marks or []
    _join_mask(call, side_by_side)
    return Marked((*side_by_side, query[-2], value[-1]))


def _join_mask(call: Call, side_by_side: list[Any]) -> None:
    """A bias for each head, such as of relative positions, loses what the heads lose."""
    if call.given(3, "attn_mask") is None:
        return
    mask, shape = call.marked(3, "attn_mask"), call.shape(3, "attn_mask")
    for dim, marks in enumerate(side_by_side, start=len(mask) - len(side_by_side) - 2):
        if dim >= 0 and shape[dim] > 1:
            call.join(mask[dim], marks)
