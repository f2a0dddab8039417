"""Floats of 8 bits: Micikevicius et al., FP8 Formats for Deep Learning, 2022."""

import torch
from torch import Tensor

from worker.packing.packed import Float8


def to_float8(values: Tensor, dtype: torch.dtype, rows: int) -> Float8:
    """Each row is scaled so that its largest magnitude is the type's: smaller ones than a type's least would be lost.
    A row of zeros has the scale 1.
    """
    matrix = values.detach().float().reshape(rows, -1)
    largest = matrix.abs().amax(1)
    scale = torch.where(largest > 0, largest / torch.finfo(dtype).max, 1.0)
    patterns = (matrix / scale.unsqueeze(1)).to(dtype).view(torch.uint8)
    return Float8(patterns.reshape(values.shape), levels_of(dtype), scale)


def levels_of(dtype: torch.dtype) -> Tensor:
    """What the 256 patterns stand for. Those that are no number, which no weight has, are 0."""
    return torch.arange(256, dtype=torch.uint8).view(dtype).float().nan_to_num(0.0, 0.0, 0.0)
