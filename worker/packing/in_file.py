"""Which packed weight of a network a tensor of a written file is, where the exporter has changed its scale."""

from collections.abc import Mapping

import torch
from torch import Tensor

from worker.packing.packed import Packed, RowsScaled


def found_again(values: Tensor, layers: frozenset[str], packed: Mapping[str, Packed]) -> Packed | RowsScaled | None:
    """The codes of the weight that `values` are, also where each row has a factor, such as that of a batch norm which
    was folded in."""
    for layer in layers:
        one = packed.get(f"{layer}.weight")
        if one is not None and one.codes.shape == values.shape:
            return one if torch.allclose(one.unpacked(), values, rtol=1e-6, atol=0) else _scaled(one, values)
    return None


def _scaled(packed: Packed, values: Tensor) -> RowsScaled | None:
    rows, wanted = packed.unpacked().flatten(1), values.flatten(1)
    factors = (rows * wanted).sum(1) / rows.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    if not torch.allclose(rows * factors.unsqueeze(1), wanted, rtol=1e-4, atol=1e-7):
        return None
    return RowsScaled(packed, factors.reshape(-1, *[1] * (values.ndim - 1)))
