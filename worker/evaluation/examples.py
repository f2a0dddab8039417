"""The examples that files are judged on: the test part of the data set, else made-up ones."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from torch import Tensor

from app.core.inputs import InputSpec
from app.core.job_files import DatasetFile
from worker.data import Examples as Part
from worker.data import open_dataset
from worker.evaluation.runtimes import Array
from worker.inputs import as_inputs, random_inputs, shape_of

BATCH_SIZE = 64
SYNTHETIC_EXAMPLES = 256
_MOST_SYNTHETIC_VALUES = 1 << 24

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Examples:
    """`batches` gives one tensor for each input, read as they are needed; `labels` are integers for classification,
    floats for regression."""

    count: int
    batches: Callable[[], Iterator[Batch]]
    labels: Array | None
    synthetic: bool


def examples_for(inputs: Sequence[InputSpec], dataset: DatasetFile | None, folder: Path, seed: int) -> Examples:
    return synthetic_examples(inputs, seed) if dataset is None else _test_examples(inputs, dataset, folder)


def _test_examples(inputs: Sequence[InputSpec], dataset: DatasetFile, folder: Path) -> Examples:
    return examples_of(open_dataset(folder, dataset).for_network(inputs).test, inputs)


def examples_of(part: Part, inputs: Sequence[InputSpec]) -> Examples:
    return Examples(
        count=len(part),
        batches=lambda: (as_inputs(inputs, arrays) for arrays, _ in part.batches(BATCH_SIZE)),
        labels=None if part.labels is None else np.asarray(part.labels[part.rows]),
        synthetic=False,
    )


def synthetic_examples(inputs: Sequence[InputSpec], seed: int, most: int = SYNTHETIC_EXAMPLES) -> Examples:
    """`most` random examples, fewer (but 16) where one is so large that they would fill the memory."""
    values = sum(prod(shape_of(spec, 1)) for spec in inputs)
    count = max(16, min(most, _MOST_SYNTHETIC_VALUES // values))
    tensors = random_inputs(inputs, count, seed)
    starts = range(0, count, BATCH_SIZE)
    return Examples(
        count=count,
        batches=lambda: (tuple(tensor[start : start + BATCH_SIZE] for tensor in tensors) for start in starts),
        labels=None,
        synthetic=True,
    )
