"""Rounding weights to 8 bits as the runtime's quantizer will: symmetric, one scale for each output channel or for
all."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rounding:
    """`largest` is the largest integer: 127, or 64 where the processor needs a bit to spare."""

    per_channel: bool
    largest: int

    def scales(self, weight: np.ndarray) -> np.ndarray:
        """Shaped to divide `weight` [out, ...]; 1 where all weights are zero."""
        over = tuple(range(1, weight.ndim)) if self.per_channel else None
        largest = np.abs(weight).max(axis=over, keepdims=True)
        return np.where(largest > 0, largest / self.largest, 1.0).astype(np.float32)

    def to_nearest(self, weight: np.ndarray) -> np.ndarray:
        scales = self.scales(weight)
        rounded: np.ndarray = np.clip(np.round(weight / scales), -self.largest, self.largest) * scales
        return rounded
