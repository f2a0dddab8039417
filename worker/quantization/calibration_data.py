"""Calibration examples as a runtime takes them, read from disk again each time they are asked for."""

from collections.abc import Iterator

import numpy as np

from app.core.errors import Invalid
from worker.data import Examples
from worker.inputs import as_inputs
from worker.network import Network
from worker.quantization.activations import Feed

BATCH_SIZE = 16
# So many numbers in one batch: with large inputs every activation of a batch would fill the memory.
_LARGEST_BATCH = 1 << 20


class CalibrationData:
    """Batches of one size: the last is filled up from the start, which moves no minimum and no maximum."""

    def __init__(self, network: Network, examples: Examples, positions: np.ndarray) -> None:
        self._network, self._examples = network, examples
        self.batch_size = min(BATCH_SIZE, len(positions), max(1, _LARGEST_BATCH // _numbers(examples)))
        count = -(-len(positions) // self.batch_size)
        self._batches = np.resize(positions, (count, self.batch_size))

    @property
    def batches(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Feed]:
        for positions in self._batches:
            arrays, _ = self._examples.take(positions)
            tensors = as_inputs(self._network.inputs, arrays)
            feed = {s.name: tensor.numpy() for s, tensor in zip(self._network.inputs, tensors, strict=True)}
            _check(feed)
            yield feed


def _numbers(examples: Examples) -> int:
    """Of one example."""
    return sum(int(np.prod(array.shape[1:])) for array in examples.inputs.values())


def _check(feed: Feed) -> None:
    for name, value in feed.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise Invalid(
                f"The calibration examples hold NaN or infinity in {name}. Remove those examples from the training "
                "data, or use a technique that needs no data, such as dynamic_quantization.",
                code="calibration_not_finite",
                title="The calibration data can't be used",
            )
