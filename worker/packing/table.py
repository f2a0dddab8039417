"""What fewer bits did to a weight, in numbers: its range, the grid, and what came back."""

from torch import Tensor

from app.core.details import Value
from worker.packing.packed import Codebook, Grouped, bytes_of
from worker.quantization.layer_table import decibels


def row_of(name: str, weight: Tensor, packed: Grouped | Codebook) -> dict[str, Value]:
    """`weight` as it was. The signal-to-noise ratio is that of the weights, in dB."""
    error = float((packed.unpacked() - weight).square().mean() / weight.square().mean().clamp_min(1e-20))
    return {
        "weight": name,
        "bits_each": round(8 * bytes_of(packed) / weight.numel(), 2),
        "smallest_weight": float(weight.min()),
        "largest_weight": float(weight.max()),
        **_grid(packed),
        "weight_sqnr_db": decibels(error),
    }


def _grid(packed: Grouped | Codebook) -> dict[str, Value]:
    if isinstance(packed, Codebook):
        return {"bits": packed.bits, "levels": len(packed.levels)}
    zero_point = 0.0 if packed.zero_point is None else float(packed.zero_point.float().median())
    scale = float(packed.scale.float().median())
    return {"bits": packed.bits, "groups": len(packed.scale), "median_scale": scale, "median_zero_point": zero_point}
