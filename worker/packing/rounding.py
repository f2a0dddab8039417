"""Values -> the nearest of 2**bits levels, for each group of neighbours (Jacob et al., 2018; Krishnamoorthi, 2018)."""

import torch
from torch import Tensor

from worker.packing.packed import Grouped


def rounded(weight: Tensor, rows: int, group_size: int | None, *, symmetric: bool, bits: int = 8) -> Grouped:
    """`weight` as `rows` rows, each cut into groups of `group_size`; one group a row where that doesn't divide it.

    Symmetric: signed codes around 0, the largest magnitude at the end. Affine: unsigned codes from the smallest to the
    largest value, 0 among them, so that zeros stay zeros.
    """
    length = weight.numel() // rows
    size = group_size if group_size and length % group_size == 0 else length
    values = weight.detach().float().reshape(-1, size)
    codes, scale, zero_point = _symmetric(values, bits) if symmetric else _affine(values, bits)
    return Grouped(codes.reshape(weight.shape), scale, zero_point)


def _symmetric(values: Tensor, bits: int) -> tuple[Tensor, Tensor, None]:
    largest = 2 ** (bits - 1) - 1
    scale = _positive(values.abs().amax(1) / largest)
    codes = torch.round(values / scale.unsqueeze(1)).clamp(-largest, largest)
    return codes.to(torch.int8), scale, None


def _affine(values: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    largest = 2**bits - 1
    low, high = values.amin(1).clamp(max=0), values.amax(1).clamp(min=0)
    scale = _positive((high - low) / largest)
    zero_point = torch.round(-low / scale).clamp(0, largest)
    codes = (torch.round(values / scale.unsqueeze(1)) + zero_point.unsqueeze(1)).clamp(0, largest)
    return codes.to(torch.uint8), scale, zero_point.to(torch.uint8)


def _positive(scale: Tensor) -> Tensor:
    """A group of zeros has no scale of its own; one below the smallest normal number would be flushed to zero."""
    return torch.where(scale > torch.finfo(scale.dtype).tiny, scale, torch.ones_like(scale))
