"""Tensors with zeros: the other values, and one bit for each place that says whether a value belongs there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

# What a file's header says of the mask and of the shape, at most.
_HEADER_BYTES = 512


@dataclass(frozen=True)
class Bitmask:
    """`codes` are the values that aren't zero, `mask` (bytes,) has the lowest bit first."""

    codes: Tensor
    mask: Tensor
    shape: tuple[int, ...]
    kind: ClassVar[str] = "bitmask"

    @staticmethod
    def of(tensor: Tensor) -> "Bitmask":
        places = tensor.flatten() != 0
        mask = torch.from_numpy(np.packbits(places.numpy(), bitorder="little"))
        return Bitmask(tensor.flatten()[places], mask, tuple(tensor.shape))

    def stored(self) -> Tensor:
        return self.codes

    def beside(self) -> Mapping[str, Tensor]:
        return {"mask": self.mask, "shape": torch.tensor(self.shape, dtype=torch.int64)}


def nonzero_values(tensor: Tensor) -> int:
    """Of floats, which are what pruning works on; others count as if none of their values were zero."""
    return int(tensor.count_nonzero()) if tensor.is_floating_point() else tensor.numel()


def saves_space(values: int, nonzero: int, bytes_each: int) -> bool:
    return mask_bytes(values) + nonzero * bytes_each + _HEADER_BYTES < values * bytes_each


def mask_bytes(values: int) -> int:
    return -(-values // 8)
