"""Scaled-dot-product attention, as the function that every exporter knows."""

from torch import nn

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Function, writes

OPTIONS = ("attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


@writes("scaled_dot_product_attention")
def attention(call: Call) -> Function:
    given = {name: call[name] for name in OPTIONS if call[name] not in (None, False, 0.0)}
    return Function(nn.functional.scaled_dot_product_attention, (call["query"], call["key"], call["value"]), given)
