"""Evenly spaced levels whose place is fitted to the values, rather than taken from the smallest and the largest."""

from collections.abc import Callable

import torch
from torch import Tensor

from worker.packing.rounding import affine_grid, nearest, short

_ROUNDS = 20
# Badri and Shaji's: the norm that is minimised, and the weight of its quadratic half, which grows.
_NORM = 0.7
_FIRST_WEIGHT, _GROWTH = 10.0, 1.01

Levels = tuple[Tensor, Tensor, Tensor]


def to_least_squares_levels(values: Tensor, bits: int) -> Levels:
    """Estimation: the mean squared error is minimised by turns, in the codes (the nearest level of each value) and in
    scale and offset (a straight line through what has each code). As good as plain rounding or better in each group."""
    scale, zero_point = (each.float() for each in affine_grid(values, bits))
    for _ in range(_ROUNDS):
        codes = nearest(values, scale, zero_point, bits).float()
        scale, zero_point = _line(values, codes, scale, zero_point)
    return _better(values, bits, scale, zero_point, lambda error: error.square())


def _line(values: Tensor, codes: Tensor, scale: Tensor, zero_point: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares fit value = scale * (code - zero point); as before where all codes are one."""
    middle, mean = codes.mean(1, keepdim=True), values.mean(1, keepdim=True)
    variance = (codes - middle).square().sum(1)
    covariance = ((codes - middle) * (values - mean)).sum(1)
    found = (variance > 0) & (covariance > 0)
    scale = torch.where(found, covariance / variance.clamp_min(0.5), scale)
    return scale, torch.where(found, middle.squeeze(1) - mean.squeeze(1) / scale, zero_point)


def to_half_quadratic_levels(values: Tensor, bits: int) -> Levels:
    """HQQ: zero points that minimise the error's l0.7 norm, which outliers weigh little in. No data are needed.

    Badri and Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023. The norm is split by a second
    variable, which is the error that may stay; both are found in closed form by turns. Errors
    are in steps of the scale, so that networks with small weights are treated as those with large ones.
    """
    scale, zero_point = (each.float() for each in affine_grid(values, bits))
    weight = _FIRST_WEIGHT
    exact = values / scale.unsqueeze(1)
    for _ in range(_ROUNDS):
        codes = nearest(values, scale, zero_point, bits).float()
        error = exact - (codes - zero_point.unsqueeze(1))
        kept = error.sign() * (error.abs() - error.abs().clamp_min(1e-12).pow(_NORM - 1) / weight).clamp_min(0)
        zero_point = (codes - (exact - kept)).mean(1)
        weight *= _GROWTH
    return _better(values, bits, scale, zero_point, lambda error: error.abs().pow(_NORM))


def _better(
    values: Tensor, bits: int, scale: Tensor, zero_point: Tensor, penalty: Callable[[Tensor], Tensor]
) -> Levels:
    """For each group the fitted levels as they are stored, or those of plain rounding where they are as good."""
    plain_scale, plain_zero_point = affine_grid(values, bits)
    scale = short(scale, bits)
    zero_point = zero_point if bits == 8 else zero_point.half()
    plain = _penalty(values, bits, plain_scale, plain_zero_point, penalty)
    better = _penalty(values, bits, scale, zero_point, penalty) < plain
    if plain_scale.dtype != scale.dtype:  # one of both ranges is beyond a half
        plain_scale = plain_scale.bfloat16()
        scale = scale.bfloat16()
    scale = torch.where(better, scale, plain_scale)
    zero_point = torch.where(better, zero_point, plain_zero_point.to(zero_point.dtype))
    return nearest(values, scale, zero_point, bits), scale, zero_point


def _penalty(
    values: Tensor, bits: int, scale: Tensor, zero_point: Tensor, penalty: Callable[[Tensor], Tensor]
) -> Tensor:
    codes = nearest(values, scale, zero_point, bits).float()
    return penalty(values - (codes - zero_point.float().unsqueeze(1)) * scale.float().unsqueeze(1)).sum(1)
