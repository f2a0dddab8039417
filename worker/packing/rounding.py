"""Values -> the nearest of 2**bits evenly spaced levels, for each group of neighbours (Jacob et al., 2018;
Krishnamoorthi, 2018)."""

import torch
from torch import Tensor

from worker.packing.groups import fitted
from worker.packing.packed import Grouped


def rounded(weight: Tensor, rows: int, group_size: int | None, *, symmetric: bool, bits: int = 8) -> Grouped:
    """Symmetric: codes on both sides of 0, the largest magnitude at the end. Affine: from the smallest to the largest
    value, 0 among them, so that zeros stay zeros."""
    return fitted(to_symmetric_levels if symmetric else to_affine_levels, weight, rows, group_size, bits)


def to_symmetric_levels(values: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor | None]:
    largest = 2 ** (bits - 1) - 1
    scale = short(_positive(values.abs().amax(1) / largest), bits)
    codes = torch.round(values / scale.float().unsqueeze(1)).clamp(-largest, largest)
    if bits == 8:
        return codes.to(torch.int8), scale, None
    return (codes + largest).to(torch.uint8), scale, torch.tensor([largest], dtype=torch.uint8)


def to_affine_levels(values: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    scale, zero_point = affine_grid(values, bits)
    return nearest(values, scale, zero_point, bits), scale, zero_point


def affine_grid(values: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Scales and zero points as they are stored."""
    largest = 2**bits - 1
    low, high = values.amin(1).clamp(max=0), values.amax(1).clamp(min=0)
    scale = short(_positive((high - low) / largest), bits)
    return scale, torch.round(-low / scale.float()).clamp(0, largest).to(torch.uint8)


def nearest(values: Tensor, scale: Tensor, zero_point: Tensor, bits: int) -> Tensor:
    zero = zero_point.float().unsqueeze(1)
    exact = values / scale.float().unsqueeze(1)
    # A whole zero point is added after rounding: zeros stay zeros, and halves go to the even side of them.
    codes = torch.round(exact + zero) if zero_point.is_floating_point() else torch.round(exact) + zero
    return codes.clamp(0, 2**bits - 1).to(torch.uint8)


def short(scale: Tensor, bits: int) -> Tensor:
    """In 16 bits where codes have fewer than 8, and scales weigh more beside them: in those with more digits, unless
    they can't hold it."""
    if bits == 8:
        return scale
    normal = torch.finfo(torch.float16)
    fits = bool(((scale >= normal.tiny) & (scale <= normal.max) | (scale == 0)).all())
    return scale.to(torch.float16 if fits else torch.bfloat16)


def _positive(scale: Tensor) -> Tensor:
    """A group of zeros has no scale of its own; one below the smallest normal number would be flushed to zero."""
    return torch.where(scale > torch.finfo(scale.dtype).tiny, scale, torch.ones_like(scale))
