"""GPTQ: Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, 2023."""

import torch
from torch import Tensor

from worker.packing.groups import values_in_group
from worker.packing.packed import Grouped
from worker.packing.rounding import affine_grid, nearest

_DAMPING = 0.01
_BLOCK = 128


def compensated(weight: Tensor, group_size: int | None, bits: int, gram: Tensor) -> Grouped:
    """Column after column is rounded, and the columns to come make up for its error in the layer's outputs.

    `gram` is E[x x'] of what the weight multiplies: (groups of channels, in, in). Levels are those of plain rounding,
    found before; where plain rounding changes a channel's outputs as little, it stays.
    """
    rows = weight.detach().float().reshape(weight.shape[0], -1)
    size = values_in_group(weight, weight.shape[0], group_size)
    scale, zero_point = affine_grid(rows.reshape(-1, size), bits)
    steps = scale.float().repeat_interleave(size).reshape(rows.shape)
    zeros = zero_point.float().repeat_interleave(size).reshape(rows.shape)
    plain = nearest(rows.reshape(-1, size), scale, zero_point, bits).reshape(rows.shape).float()
    codes = torch.cat(
        [
            _less_wrong(*part)
            for part in zip(
                *(each.chunk(len(gram)) for each in (rows, plain, steps, zeros)), gram, [bits] * len(gram), strict=True
            )
        ]
    )
    return Grouped(codes.to(torch.uint8).reshape(weight.shape), scale, zero_point, bits)


def _less_wrong(rows: Tensor, plain: Tensor, steps: Tensor, zeros: Tensor, gram: Tensor, bits: int) -> Tensor:
    codes = _compensating(rows, steps, zeros, gram, 2**bits - 1)
    errors = [_output_error((each - zeros) * steps - rows, gram) for each in (codes, plain)]
    return torch.where((errors[0] < errors[1]).unsqueeze(1), codes, plain)


def _output_error(difference: Tensor, gram: Tensor) -> Tensor:
    """E |difference x|^2 of each row"""
    return ((difference @ gram) * difference).sum(1)


def _compensating(rows: Tensor, steps: Tensor, zeros: Tensor, gram: Tensor, largest: int) -> Tensor:
    """In blocks of columns: what one block owes the later ones is one product of matrices."""
    rows, codes = rows.clone(), torch.empty_like(rows)
    factor = _inverse_factor(gram)
    for start in range(0, rows.shape[1], _BLOCK):
        end = min(start + _BLOCK, rows.shape[1])
        owed = torch.empty(len(rows), end - start)
        for column in range(start, end):
            step, zero = steps[:, column], zeros[:, column]
            codes[:, column] = (torch.round(rows[:, column] / step) + zero).clamp(0, largest)
            error = (rows[:, column] - (codes[:, column] - zero) * step) / factor[column, column]
            rows[:, column + 1 : end] -= error.unsqueeze(1) * factor[column, column + 1 : end]
            owed[:, column - start] = error
        rows[:, end:] -= owed @ factor[start:end, end:]
    return codes


def _inverse_factor(gram: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse. An input that is always zero weighs nothing, and takes part as if it
    were there alone."""
    gram = gram.double()
    diagonal = gram.diagonal()
    damping = _DAMPING * diagonal.mean() + 1e-12
    damped = gram + torch.diag(torch.where(diagonal > 0, damping, diagonal.mean() + damping))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.float()
