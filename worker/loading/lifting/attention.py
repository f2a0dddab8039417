"""Scaled-dot-product attention, as the function that every exporter knows."""

from typing import Any, cast

from torch import fx, nn

from worker.exporting.load_network import AttentionDropout
from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Function, Layer, lifts, writes

OPERANDS = ("query", "key", "value")
OPTIONS = ("attn_mask", "is_causal", "scale", "enable_gqa")


@writes("scaled_dot_product_attention")
def attention(call: Call) -> Function:
    return Function(nn.functional.scaled_dot_product_attention, _operands(call), _settings(call))


@lifts("scaled_dot_product_attention")
def attention_that_drops(call: Call) -> Layer | None:
    """A layer beside the function, which gives it the probability of training mode."""
    if not call["dropout_p"]:
        return None
    inputs = (*_operands(call), _settings(call))
    return Layer(AttentionDropout(call["dropout_p"]), inputs, rewire=_attend)


def _operands(call: Call) -> tuple[Any, ...]:
    return tuple(call[name] for name in OPERANDS)


def _settings(call: Call) -> dict[str, Any]:
    return {name: call[name] for name in OPTIONS if call[name] not in (None, False)}


def _attend(graph: fx.Graph, rate: fx.Node) -> dict[fx.Node, fx.Node]:
    """The layer was called in the place of the function; now it takes nothing, and the function its answer."""
    *operands, settings = cast(tuple[Any, ...], rate.args)
    rate.args = ()
    with graph.inserting_after(rate):
        mixed = graph.call_function(nn.functional.scaled_dot_product_attention, tuple(operands))
    rate.replace_all_uses_with(mixed)
    mixed.kwargs = {**settings, "dropout_p": rate}
    mixed.meta, rate.meta = rate.meta, {**rate.meta, "val": 0.0}
    return {rate: mixed}
