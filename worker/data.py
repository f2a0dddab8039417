"""A data set on disk, read without copying it into memory.

    x_train, y_train, x_test, y_test      train and test apart, or
    x, y                                  split 80/20 by a fixed seed
    x_train.NAME                          one array for each input of a network that has several

    train/CLASS, test/CLASS               folders of images in a .zip, which become x and y, split or not

Arrays stay on disk until examples are taken: members of an uncompressed .npz and of .safetensors are memory-mapped,
members of a compressed .npz are unpacked once, to disk, when first used; images are decoded each time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.core.errors import Invalid
from app.core.facts import ArrayFacts
from app.core.inputs import InputSpec
from app.core.job_files import DatasetFile, HalfOfTest
from worker.arrays import Array, open_arrays
from worker.images import open_images

SPLIT_SEED = 0
TEST_FRACTION = 0.2
ONLY_INPUT = ""


@dataclass(frozen=True)
class Examples:
    """One half of a data set. `inputs` is keyed by the input's name, "" where the data set has a single `x`."""

    inputs: Mapping[str, Array]
    labels: Array | None
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Sequence[int] | np.ndarray) -> tuple[dict[str, Tensor], Tensor | None]:
        rows = self.rows[np.asarray(positions, dtype=np.int64)]
        taken = {name: _tensor(array, rows) for name, array in self.inputs.items()}
        return taken, None if self.labels is None else _tensor(self.labels, rows)

    def at(self, positions: np.ndarray) -> "Examples":
        """These of the examples, nothing read."""
        return Examples(self.inputs, self.labels, self.rows[positions])

    def batches(self, size: int, *, limit: int | None = None) -> Iterator[tuple[dict[str, Tensor], Tensor | None]]:
        """In the data set's order; the last batch may be smaller."""
        end = len(self) if limit is None else min(limit, len(self))
        for start in range(0, end, size):
            yield self.take(range(start, min(start + size, end)))

    def chosen(self, count: int, seed: int) -> np.ndarray:
        """Positions of `count` examples drawn without replacement (all of them where there are fewer)."""
        order = np.random.default_rng(seed).permutation(len(self))
        return np.sort(order[:count])

    def named(self, inputs: Sequence[InputSpec]) -> "Examples":
        """The same examples with arrays keyed by the network's own input names."""
        if set(self.inputs) == {ONLY_INPUT} and len(inputs) == 1:
            return Examples({inputs[0].name: self.inputs[ONLY_INPUT]}, self.labels, self.rows)
        missing = [spec.name for spec in inputs if spec.name not in self.inputs]
        if missing:
            raise Invalid(
                f"The network takes {', '.join(s.name for s in inputs)}, and the data set has no array for "
                f"{', '.join(missing)}. Name one array for each input: x_train.{missing[0]}, x_test.{missing[0]}.",
                code="data_does_not_fit",
                title="The data set doesn't fit the network",
            )
        return Examples({spec.name: self.inputs[spec.name] for spec in inputs}, self.labels, self.rows)


def _tensor(array: Array, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array[rows]))


@dataclass(frozen=True)
class Dataset:
    arrays: Mapping[str, Array]
    part: HalfOfTest | None = None

    @cached_property
    def train(self) -> Examples:
        return self._half("train")

    @cached_property
    def test(self) -> Examples:
        test = self._half("test")
        return test if self.part is None else test.at(part_of(len(test), self.part))

    @property
    def labelled(self) -> bool:
        return self.train.labels is not None

    def for_network(self, inputs: Sequence[InputSpec]) -> "NetworkData":
        return NetworkData(self.train.named(inputs), self.test.named(inputs), tuple(inputs))

    def facts_of_arrays(self) -> dict[str, ArrayFacts]:
        return {name: ArrayFacts(shape=a.shape, dtype=str(a.dtype)) for name, a in self.arrays.items()}

    def _half(self, half: str) -> Examples:
        if self._is_split:
            inputs = self._inputs(f"x_{half}")
            rows = np.arange(len(next(iter(inputs.values()))))
            return Examples(inputs, self.arrays.get(f"y_{half}"), rows)
        inputs = self._inputs("x")
        return Examples(inputs, self.arrays.get("y"), split_rows(len(next(iter(inputs.values()))))[half])

    @property
    def _is_split(self) -> bool:
        return any(name.partition(".")[0] == "x_train" for name in self.arrays)

    def _inputs(self, stem: str) -> dict[str, Array]:
        return {name.partition(".")[2]: a for name, a in self.arrays.items() if name.partition(".")[0] == stem}


@dataclass(frozen=True)
class NetworkData:
    """A data set whose arrays are keyed by the names of a network's inputs."""

    train: Examples
    test: Examples
    inputs: tuple[InputSpec, ...]


def split_rows(count: int) -> dict[str, np.ndarray]:
    """Rows of an unsplit data set: the same 80/20 split wherever it is asked for."""
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    cut = max(1, round(count * TEST_FRACTION))
    return {"test": np.sort(order[:cut]), "train": np.sort(order[cut:])}


def part_of(count: int, part: HalfOfTest) -> np.ndarray:
    """Positions among `count` test examples; the other half has all others."""
    order = np.random.default_rng(part.seed).permutation(count)
    return np.sort(order[: count // 2] if part.half == "gate" else order[count // 2 :])


def open_dataset(folder: Path, file: DatasetFile) -> Dataset:
    path = folder / file.path
    arrays = open_images(path, file.transform) if file.format == "images" else open_arrays(path, file.format)
    check_arrays(arrays)
    return Dataset(arrays, file.part)


def check_arrays(arrays: Mapping[str, Array]) -> None:
    """Every array that is used has a known name, and rows that belong together are equally many."""
    stems = {name.partition(".")[0] for name in arrays}
    split, whole = {"x_train", "x_test"} <= stems, "x" in stems
    known = {"x_train", "x_test", "y_train", "y_test"} if split else {"x", "y"}
    if split == whole or stems - known or ({"y_train", "y_test"} & stems) not in (set(), {"y_train", "y_test"}):
        raise _unreadable(
            f"It holds the arrays {', '.join(sorted(arrays)) or 'none'}. Give x_train, x_test and, where there are "
            "labels, y_train and y_test; or x and y; or x_train.NAME for each input NAME."
        )
    for half in ("_train", "_test") if split else ("",):
        _check_rows({n: a for n, a in arrays.items() if n.partition(".")[0] in (f"x{half}", f"y{half}")})


def _check_rows(arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if not array.shape or not array.shape[0]:
            raise _unreadable(f"{name} is empty. Every array needs at least one example.")
    if len({array.shape[0] for array in arrays.values()}) > 1:
        counts = ", ".join(f"{name}: {array.shape[0]}" for name, array in arrays.items())
        raise _unreadable(f"Arrays that belong together hold different numbers of examples ({counts}).")


def _unreadable(detail: str) -> Invalid:
    return Invalid(detail, code="dataset_malformed", title="The data set can't be used as it is")
