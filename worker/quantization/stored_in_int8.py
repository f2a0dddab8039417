"""Layers of an ONNX file whose weights lie in int8 but are computed with in float32: what ONNX Runtime's dynamic
quantizer leaves as it is."""

from collections.abc import Collection, Mapping

import onnx
from torch import Tensor

from worker.packing.in_onnx import Weight, pack_weights
from worker.packing.packed import Grouped
from worker.packing.rounding import rounded
from worker.quantization.layer_table import RoundedWeights

RECURRENT = frozenset({"GRU", "RNN"})
STORED = RECURRENT | {"Gather"}
_NEIGHBOURS = 128


def store_in_int8(
    model: onnx.ModelProto, left_alone: Collection[str], *, per_channel: bool
) -> Mapping[str, RoundedWeights]:
    """In place; answers with what it did, by the names of layers."""
    told: dict[str, RoundedWeights] = {}

    def pack(weight: Weight) -> Grouped | None:
        packed = _packed(weight, per_channel=per_channel)
        if packed is not None:
            for layer in weight.layers:
                tell_rounded(told.setdefault(layer, RoundedWeights()), weight.values, packed)
        return packed

    pack_weights(model, left_alone, pack)
    return told


def tell_rounded(told: RoundedWeights, weight: Tensor, packed: Grouped) -> None:
    told.add(weight.detach().numpy(), packed.unpacked().numpy(), packed.scale.float().numpy())


def _packed(weight: Weight, *, per_channel: bool) -> Grouped | None:
    """Rows of embeddings share a scale among 128 neighbours, those of recurrent layers have one each."""
    is_table = weight.operators == {"Gather"} and weight.values.ndim == 2
    is_recurrent = weight.operators <= RECURRENT and not weight.is_bias
    if not is_table and not is_recurrent:
        return None
    if not per_channel:
        return rounded(weight.values, 1, None, symmetric=True)
    return rounded(weight.values, weight.rows, _NEIGHBOURS if is_table else None, symmetric=True)
