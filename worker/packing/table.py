"""What fewer bits did to a weight, in numbers: its range, the grid, and what came back."""

import torch
from torch import Tensor

from app.core.details import Value
from worker.packing.packed import Cast, Codebook, Float8, Grouped, bytes_of
from worker.quantization.layer_table import decibels


def row_of(name: str, weight: Tensor, packed: Grouped | Codebook) -> dict[str, Value]:
    """`weight` as it was. The signal-to-noise ratio is that of the weights, in dB."""
    return {
        "weight": name,
        "bits_each": round(8 * bytes_of(packed) / weight.numel(), 2),
        **_statistics(weight),
        **_grid(packed),
        "weight_sqnr_db": _sqnr(weight, packed.unpacked()),
    }


def row_of_cast(name: str, weight: Tensor, dtype: str, packed: Cast | Float8 | None) -> dict[str, Value]:
    """None is `packed` of a weight that stays as it is, because of values that `dtype` can't hold."""
    told = {"weight": name, "stored_as": dtype if packed else "float32", **_statistics(weight)}
    if packed is None:
        return told | {"values_not_held": _not_held(weight, dtype)}
    values = packed.unpacked()
    if isinstance(packed, Float8):
        told["median_scale"] = float(packed.scale.median())
    lost = int(((values == 0) & (weight != 0)).sum())
    return told | {"values_not_held": 0, "values_made_zero": lost, "weight_sqnr_db": _sqnr(weight, values)}


def _not_held(weight: Tensor, dtype: str) -> int:
    """A type of 8 bits has a scale for each row: there only what isn't finite is out of range."""
    held = weight if dtype.startswith("float8") else weight.to(getattr(torch, dtype))
    return int((~held.isfinite()).sum())


def _statistics(weight: Tensor) -> dict[str, Value]:
    return {"smallest_weight": float(weight.min()), "largest_weight": float(weight.max())}


def _sqnr(weight: Tensor, values: Tensor) -> float | None:
    return decibels(float((values - weight).square().mean() / weight.square().mean().clamp_min(1e-20)))


def _grid(packed: Grouped | Codebook) -> dict[str, Value]:
    if isinstance(packed, Codebook):
        return {"bits": packed.bits, "levels": len(packed.levels)}
    zero_point = 0.0 if packed.zero_point is None else float(packed.zero_point.float().median())
    scale = float(packed.scale.float().median())
    return {"bits": packed.bits, "groups": len(packed.scale), "median_scale": scale, "median_zero_point": zero_point}
