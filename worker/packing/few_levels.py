"""Three levels or two, for each group of neighbours."""

import torch
from torch import Tensor

from worker.packing.rounding import short

_THRESHOLD = 0.7


def to_three_levels(values: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """-a, 0 and a: zero below 0.7 of the mean magnitude, and `a` the mean magnitude of the others.

    Li et al., Ternary Weight Networks, 2016.
    """
    magnitude = values.abs()
    large = magnitude > _THRESHOLD * magnitude.mean(1, keepdim=True)
    scale = (magnitude * large).sum(1) / large.sum(1).clamp_min(1)
    codes = values.sign() * large + 1
    return codes.to(torch.uint8), short(scale, bits), torch.tensor([1], dtype=torch.uint8)


def to_two_levels(values: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """-a and a, by the sign; `a` is the mean magnitude, which is the best in least squares.

    Rastegari et al., XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks, 2016.
    """
    codes = values >= 0
    return codes.to(torch.uint8), short(2 * values.abs().mean(1), bits), torch.tensor([0.5], dtype=torch.float16)
