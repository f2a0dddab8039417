"""Rounding to 8 bits that lets gradients through: Jacob et al., Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference, 2018.

What is rounded stays in float32. The gradient is that of no rounding where a value lies inside the range, and zero
outside (the straight-through estimator).
"""

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

LARGEST_ACTIVATION = 255


class FakeQuantizedActivation(nn.Module):
    """To one of 256 values, with one range for the whole tensor."""

    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        self._scale, self._zero_point = scale, zero_point

    def forward(self, activation: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(activation, self._scale, self._zero_point, 0, LARGEST_ACTIVATION)


class LearnedActivation(nn.Module):
    """The same with a step that is learned: Esser et al., Learned Step Size Quantization, 2020. The zero point stays:
    both ends of the range move with the step.

    What is learned is by which power of e the step grows, so that an update means as much to small steps as to large.
    """

    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        self._first_scale, self._zero_point = scale, zero_point
        self.growth = nn.Parameter(torch.zeros(1))

    def forward(self, activation: Tensor) -> Tensor:
        share = 1 / sqrt(activation.numel() * LARGEST_ACTIVATION)  # the paper's gradient scale
        zero_point = torch.tensor([float(self._zero_point)])
        return torch._fake_quantize_learnable_per_tensor_affine(
            activation, self._scale(), zero_point, 0, LARGEST_ACTIVATION, share
        )

    def ends(self) -> tuple[float, float]:
        """Of the range."""
        scale = float(self._scale().detach())
        return -self._zero_point * scale, (LARGEST_ACTIVATION - self._zero_point) * scale

    def _scale(self) -> Tensor:
        return self._first_scale * self.growth.exp()


class FakeQuantizedLayer(nn.Module):
    """The same layer with rounded weights. `largest` is the largest integer, see `Rounding`."""

    def __init__(self, layer: nn.Module, largest: int) -> None:
        super().__init__()
        self.layer, self._largest = layer, largest

    def forward(self, *inputs: Tensor) -> Any:
        weight = fake_quantized_weight(self.layer.get_parameter("weight"), self._largest)
        return functional_call(self.layer, {"weight": weight}, inputs)


def fake_quantized_weight(weight: Tensor, largest: int) -> Tensor:
    """Symmetric, with one scale for each output channel: `weight` is [out, ...]. Its largest values never leave the
    range, which moves with them."""
    extremes = weight.detach().flatten(1).abs().amax(dim=1)
    scales = torch.where(extremes > 0, extremes / largest, 1.0)
    zero_points = torch.zeros(len(weight), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zero_points, 0, -largest, largest)
