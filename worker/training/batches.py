"""Batches of a network's training data, read from disk as they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from app.core.inputs import InputSpec
from worker.data import Examples
from worker.inputs import as_inputs


@dataclass(frozen=True)
class Batch:
    """`inputs` in the order and the dtypes that the network takes. `rows` are the data set's that they are, None where
    they were changed."""

    inputs: tuple[Tensor, ...]
    labels: Tensor | None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass(frozen=True)
class Batches:
    """Examples in batches of about `size`: all equally large up to one example, so that none is left with a single
    one, of which a batch norm has no variance."""

    examples: Examples
    inputs: tuple[InputSpec, ...]
    size: int

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def shuffled(self, generator: torch.Generator) -> Iterator[Batch]:
        order = torch.randperm(len(self.examples), generator=generator).numpy()
        for positions in self._parts(order):
            yield self._take(np.sort(positions))  # neighbours on disk are read together

    def in_order(self) -> Iterator[Batch]:
        for positions in self._parts(np.arange(len(self.examples))):
            yield self._take(positions)

    def _parts(self, order: np.ndarray) -> Sequence[np.ndarray]:
        return np.array_split(order, len(self)) if len(self) else ()

    def _take(self, positions: np.ndarray) -> Batch:
        arrays, labels = self.examples.take(positions)
        return Batch(as_inputs(self.inputs, arrays), labels, self.examples.rows[positions])
