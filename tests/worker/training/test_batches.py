import tracemalloc
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from app.core.inputs import InputSpec
from worker.data import Examples
from worker.training.batches import Batches

SPECS = (InputSpec(name="x", shape=("batch", 1)),)


def numbers(count: int, size: int) -> Batches:
    values = np.arange(count, dtype=np.float64)[:, None]
    return Batches(Examples({"x": values}, np.arange(count), np.arange(count)), SPECS, size)


def test_every_example_comes_once_in_an_order_of_the_seed() -> None:
    batches = numbers(50, 8)
    first, again, other = (
        [batch.labels.tolist() for batch in batches.shuffled(torch.Generator().manual_seed(seed))] for seed in (0, 0, 1)
    )
    assert sorted(chain(*first)) == list(range(50))
    assert first == again != other
    assert next(batches.in_order()).inputs[0].flatten().tolist() == list(range(len(first[0])))


def test_labels_stay_with_their_inputs_and_inputs_have_the_networks_dtype() -> None:
    for batch in numbers(20, 6).shuffled(torch.Generator()):
        assert batch.inputs[0].dtype == torch.float32
        assert batch.inputs[0].flatten().tolist() == batch.labels.tolist()


def test_batches_are_equally_large() -> None:
    assert [len(batch) for batch in numbers(65, 64).in_order()] == [33, 32]
    assert [len(batch) for batch in numbers(64, 64).in_order()] == [64]
    assert list(numbers(0, 64).in_order()) == []


def test_shuffling_reads_no_more_than_a_batch(tmp_path: Path) -> None:
    """Of a file of 400 MB (with holes: nothing is written)."""
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (100_000, 1000))
    batches = Batches(Examples({"x": mapped}, None, np.arange(100_000)), SPECS, 64)
    tracemalloc.start()
    try:
        for _, batch in zip(range(20), batches.shuffled(torch.Generator().manual_seed(0)), strict=False):
            assert batch.inputs[0].shape == (64, 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
