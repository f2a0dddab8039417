"""The training examples on which importance is judged."""

from collections.abc import Iterator
from itertools import chain, count, islice

from torch import Tensor

from worker.example_checks import check_finite
from worker.inputs import as_inputs
from worker.network import Network
from worker.run import Run

Batch = tuple[tuple[Tensor, ...], Tensor | None]


def example_batches_again(network: Network, run: Run, examples: int, batch_size: int, times: int) -> Iterator[Batch]:
    """`times` batches of them, from the start again where they end."""
    endless = chain.from_iterable(example_batches(network, run, examples, batch_size) for _ in count())
    return islice(endless, times)


def example_count(run: Run, examples: int) -> int:
    """How many there are of so many asked for."""
    assert run.data is not None, "a criterion that learns from data is refused without data"
    return min(examples, len(run.data.train))


def example_batches(network: Network, run: Run, examples: int, batch_size: int) -> Iterator[Batch]:
    """The network's inputs and, where there are some, the labels of `examples` training examples drawn by the seed.

    Read as they are needed, and the same at every call. Raises Invalid where they aren't finite.
    """
    assert run.data is not None, "a criterion that learns from data is refused without data"
    train = run.data.train
    positions = train.chosen(examples, run.seed)
    for start in range(0, len(positions), batch_size):
        run.progress(start / len(positions), "Judging importance on training examples")
        arrays, labels = train.take(positions[start : start + batch_size])
        check_finite(arrays)
        yield as_inputs(network.inputs, arrays), labels
