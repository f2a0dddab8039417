from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.job_files import DatasetFile, HalfOfTest
from worker.data import Dataset, open_dataset

NPZ = DatasetFile(path="inputs/data.npz", format="npz")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()


ARRAYS = {
    "x_train": np.arange(24, dtype=np.float32).reshape(6, 4),
    "y_train": np.arange(6),
    "x_test": np.arange(12, dtype=np.float32).reshape(3, 4),
    "y_test": np.arange(3),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_gives_its_values(tmp_path: Path, save) -> None:
    save(tmp_path / "inputs" / "data.npz", **ARRAYS)
    inputs, labels = open_dataset(tmp_path, NPZ).train.take([1, 5])
    assert inputs[""].tolist() == ARRAYS["x_train"][[1, 5]].tolist()
    assert labels is not None
    assert labels.tolist() == [1, 5]


def test_a_stored_npz_is_mapped_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", **ARRAYS)
    assert isinstance(open_dataset(tmp_path, NPZ).arrays["x_train"].values, np.memmap)


def test_a_compressed_npz_is_unpacked_to_a_file_that_is_mapped(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "inputs" / "data.npz", **ARRAYS)
    assert isinstance(open_dataset(tmp_path, NPZ).arrays["x_train"].values, np.memmap)
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == ["data.npz"]


def test_safetensors_are_mapped_and_widened_by_row(tmp_path: Path) -> None:
    """64 MB of bfloat16, of which taking three rows reads and widens no more than those."""
    save_file({"x": torch.ones(1000, 32_000, dtype=torch.bfloat16)}, tmp_path / "inputs" / "data.safetensors")
    train = open_dataset(tmp_path, DatasetFile(path="inputs/data.safetensors", format="safetensors")).train
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before = peak_memory_mb()
    inputs, _ = train.take([0, 500, 799])
    assert inputs[""].shape == (3, 32_000)
    assert inputs[""].dtype == torch.float32
    assert peak_memory_mb() - before < 16


def peak_memory_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def test_column_major_arrays_keep_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", **(ARRAYS | {"x_train": np.asfortranarray(ARRAYS["x_train"])}))
    inputs, _ = open_dataset(tmp_path, NPZ).train.take([2])
    assert inputs[""].tolist() == ARRAYS["x_train"][[2]].tolist()


def test_safetensors_widens_bfloat16(tmp_path: Path) -> None:
    tensors = {"x": torch.arange(20).reshape(10, 2).bfloat16(), "y": torch.arange(10)}
    save_file(tensors, tmp_path / "inputs" / "data.safetensors")
    dataset = open_dataset(tmp_path, DatasetFile(path="inputs/data.safetensors", format="safetensors"))
    inputs, _ = dataset.train.take([0])
    assert inputs[""].dtype == torch.float32
    assert dataset.arrays["x"].shape == (10, 2)


def test_unsplit_data_is_split_80_20_without_overlap(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", x=np.arange(50), y=np.arange(50))
    dataset, again = open_dataset(tmp_path, NPZ), open_dataset(tmp_path, NPZ)
    assert (len(dataset.train), len(dataset.test)) == (40, 10)
    assert sorted([*dataset.train.rows, *dataset.test.rows]) == list(range(50))
    assert dataset.test.rows.tolist() == again.test.rows.tolist()


def test_batches_end_at_the_limit(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", **ARRAYS)
    train = open_dataset(tmp_path, NPZ).train
    assert [len(inputs[""]) for inputs, _ in train.batches(4)] == [4, 2]
    assert [len(inputs[""]) for inputs, _ in train.batches(4, limit=3)] == [3]


def test_chosen_examples_depend_on_the_seed_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", x=np.arange(500))
    train = open_dataset(tmp_path, NPZ).train
    assert train.chosen(20, seed=1).tolist() == train.chosen(20, seed=1).tolist()
    assert train.chosen(20, seed=1).tolist() != train.chosen(20, seed=2).tolist()
    assert len(set(train.chosen(1000, seed=1).tolist())) == 400


def test_several_inputs_are_taken_by_name(tmp_path: Path) -> None:
    arrays = {
        f"x_{half}.{name}": np.full((4, 2), value) for half in ("train", "test") for name, value in (("a", 1), ("b", 2))
    }
    np.savez(tmp_path / "inputs" / "data.npz", **arrays)
    dataset = open_dataset(tmp_path, NPZ)
    specs = [InputSpec(name=name, shape=("batch", 2)) for name in ("b", "a")]
    inputs, labels = dataset.for_network(specs).test.take([0])
    assert list(inputs) == ["b", "a"]
    assert inputs["b"].tolist() == [[2, 2]]
    assert labels is None


def test_a_missing_input_is_named() -> None:
    dataset = Dataset({"x_train.a": np.zeros((2, 1)), "x_test.a": np.zeros((2, 1))})
    specs = [InputSpec(name=name, shape=("batch", 1)) for name in ("a", "mask")]
    with pytest.raises(Invalid, match=r"x_train\.mask") as caught:
        dataset.for_network(specs)
    assert caught.value.code == "data_does_not_fit"


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros(3)},
        {"x_train": np.zeros(3)},
        {"x_train": np.zeros(3), "x_test": np.zeros(2), "y_train": np.zeros(3)},
        {"x": np.zeros(3), "x_train": np.zeros(3), "x_test": np.zeros(3)},
        {"x": np.zeros(3), "y": np.zeros(4)},
        {"x": np.zeros((0, 3))},
        {"x": np.zeros(())},
        {"x": np.array(["a", "b"])},
    ],
    ids=["unknown name", "no test", "half labelled", "both forms", "uneven", "empty", "scalar", "text"],
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", **arrays)
    with pytest.raises(Invalid) as caught:
        open_dataset(tmp_path, NPZ)
    assert caught.value.code == "dataset_malformed"


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs" / "data.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Invalid) as caught:
        open_dataset(tmp_path, NPZ)
    assert caught.value.code == "dataset_malformed"


@pytest.mark.parametrize("file_format", ["npz", "safetensors"])
def test_a_damaged_file_is_refused(tmp_path: Path, file_format: str) -> None:
    (tmp_path / "inputs" / "data").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(Invalid) as caught:
        open_dataset(tmp_path, DatasetFile(path="inputs/data", format=file_format))
    assert caught.value.code == "dataset_malformed"


def test_both_halves_of_the_test_examples_are_all_of_them_and_nothing_twice(tmp_path: Path) -> None:
    """And training examples are the same, whichever half is there."""
    np.savez(tmp_path / "inputs" / "data.npz", x=np.arange(105, dtype=np.float32)[:, None], y=np.arange(105))

    def opened(part: HalfOfTest | None) -> Dataset:
        return open_dataset(tmp_path, DatasetFile(path="inputs/data.npz", format="npz", part=part))

    whole = opened(None)
    choice, gate = (opened(HalfOfTest(half=half, seed=3)) for half in ("choice", "gate"))
    assert (len(choice.test), len(gate.test)) == (11, 10)
    assert not set(choice.test.rows) & set(gate.test.rows)
    assert set(choice.test.rows) | set(gate.test.rows) == set(whole.test.rows)
    assert not set(gate.test.rows) & set(choice.train.rows)
    assert np.array_equal(choice.train.rows, whole.train.rows)
    assert np.array_equal(gate.test.rows, opened(HalfOfTest(half="gate", seed=3)).test.rows)
    assert not np.array_equal(gate.test.rows, opened(HalfOfTest(half="gate", seed=4)).test.rows)
