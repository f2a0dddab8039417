"""Layers of an ONNX file whose weights lie in int8 but are computed with in float32: what ONNX Runtime's dynamic
quantizer leaves as it is."""

from collections.abc import Collection

import onnx

from worker.packing.in_onnx import Weight, pack_weights
from worker.packing.packed import Grouped
from worker.packing.rounding import rounded

RECURRENT = frozenset({"GRU", "RNN"})
STORED = RECURRENT | {"Gather"}
_NEIGHBOURS = 128


def store_in_int8(model: onnx.ModelProto, left_alone: Collection[str], *, per_channel: bool) -> None:
    """In place. Rows of embeddings share a scale among 128 neighbours, those of recurrent layers have one each."""

    def pack(weight: Weight) -> Grouped | None:
        is_table = weight.operators == {"Gather"} and weight.values.ndim == 2
        is_recurrent = weight.operators <= RECURRENT and not weight.is_bias
        if not is_table and not is_recurrent:
            return None
        if not per_channel:
            return rounded(weight.values, 1, None, symmetric=True)
        return rounded(weight.values, weight.rows, _NEIGHBOURS if is_table else None, symmetric=True)

    pack_weights(model, left_alone, pack)
