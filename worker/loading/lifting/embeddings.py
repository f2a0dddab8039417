"""Embeddings."""

from torch import nn

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Layer, lifts


@lifts("embedding")
def embedding(call: Call) -> Layer | None:
    weight, padding = call["weight"], call["padding_idx"]
    if not (call.is_stored(weight) and call.are_constant("padding_idx")):
        return None
    rows, columns = call.stored(weight).shape
    module = nn.Embedding(
        rows,
        columns,
        padding_idx=padding if padding >= 0 else None,
        scale_grad_by_freq=call["scale_grad_by_freq"],
        sparse=call["sparse"],
        device="meta",
    )
    return Layer(module, (call["indices"],), {"weight": weight})
