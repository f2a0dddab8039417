"""Calibration examples as a runtime takes them, read from disk again each time they are asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from worker.data import Examples
from worker.example_checks import Spread, check_finite
from worker.inputs import as_inputs
from worker.network import Network
from worker.quantization.activations import Feed

BATCH_SIZE = 16
# Numbers that a batch comes to, from its examples to the answers: 64 MB. A runtime may hold all of them at once, and
# out of the caches large ones are no quicker than small ones.
_LARGEST_BATCH = 1 << 24


class CalibrationData:
    """Batches of one size: the last is filled up from the start, which moves no minimum and no maximum.

    Raises Invalid where the examples aren't finite or are all the same.
    """

    def __init__(self, network: Network, examples: Examples, positions: np.ndarray) -> None:
        self._network, self._examples = network, examples
        self.batch_size = min(BATCH_SIZE, len(positions), max(1, _LARGEST_BATCH // self._numbers(positions)))
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

    def _numbers(self, positions: np.ndarray) -> int:
        """Of one example, and of all that is computed of it."""
        arrays, _ = self._examples.take(positions[:1])
        with torch.inference_mode(), _Counting() as counting:
            self._network.run(*as_inputs(self._network.inputs, arrays))
        return int(counting.numbers)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Views count too: to a runtime that knows no views they are copies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers: int = 1

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        answers = operator(*arguments, **(options or {}))
        self.numbers += sum(each.numel() for each in tree_leaves(answers) if isinstance(each, torch.Tensor))
        return answers
