"""Calibration examples as a runtime takes them, read from disk again each time they are asked for."""

from collections.abc import Iterator

import numpy as np
import torch

from worker.data import Examples
from worker.example_checks import Spread, check_finite
from worker.inputs import as_inputs
from worker.network import Network
from worker.quantization.activations import Feed

BATCH_SIZE = 16
# So many numbers in one batch: with large inputs every activation of a batch would fill the memory.
_LARGEST_BATCH = 1 << 20


class CalibrationData:
    """Batches of one size: the last is filled up from the start, which moves no minimum and no maximum.

    Raises Invalid where the examples aren't finite or are all the same.
    """

    def __init__(self, network: Network, examples: Examples, positions: np.ndarray) -> None:
        self._network, self._examples = network, examples
        self.batch_size = min(BATCH_SIZE, len(positions), max(1, _LARGEST_BATCH // _numbers(examples)))
        count = -(-len(positions) // self.batch_size)
        self._batches = np.resize(positions, (count, self.batch_size))
        self._check()

    @property
    def batches(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Feed]:
        for positions in self._batches:
            arrays, _ = self._examples.take(positions)
            tensors = as_inputs(self._network.inputs, arrays)
            feed = {s.name: tensor.numpy() for s, tensor in zip(self._network.inputs, tensors, strict=True)}
            yield feed

    def _check(self) -> None:
        spread = Spread()
        for feed in self:
            tensors = {name: torch.from_numpy(values) for name, values in feed.items()}
            check_finite(tensors)
            spread.see(tensors)
        spread.check()


def _numbers(examples: Examples) -> int:
    """Of one example."""
    return sum(int(np.prod(array.shape[1:])) for array in examples.inputs.values())
