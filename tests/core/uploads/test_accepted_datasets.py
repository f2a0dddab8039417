"""Data sets as numpy and safetensors write them are read."""

import numpy as np
import pytest
import safetensors.numpy

from app.core.uploads import read_dataset

X, Y = np.zeros((4, 2), np.float32), np.arange(4)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_read(tmp_path, save):
    save(tmp_path / "data.npz", x_train=X, y_train=Y, x_test=X[:1], y_test=Y[:1])
    upload = read_dataset(tmp_path / "data.npz", "data.npz")
    assert upload.format == "npz"
    assert upload.arrays["x_train"].shape == (4, 2)
    assert upload.arrays["x_train"].dtype == "float32"
    assert upload.arrays["y_test"].dtype == "int64"


def test_fortran_order_and_every_dtype_are_read(tmp_path):
    for dtype in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool"):
        np.savez(tmp_path / "data.npz", x=np.asfortranarray(np.zeros((4, 2, 3), dtype)))
        assert read_dataset(tmp_path / "data.npz", "data.npz").arrays["x"].dtype == np.dtype(dtype).name


def test_several_inputs_are_read(tmp_path):
    arrays = {"x_train.ids": Y, "x_train.mask": X, "x_test.ids": Y, "x_test.mask": X, "y_train": Y, "y_test": Y}
    np.savez(tmp_path / "data.npz", **arrays)
    assert set(read_dataset(tmp_path / "data.npz", "data.npz").arrays) == set(arrays)


def test_a_safetensors_file_is_read(tmp_path):
    safetensors.numpy.save_file({"x": X, "y": Y}, tmp_path / "data.safetensors")
    upload = read_dataset(tmp_path / "data.safetensors", "data.safetensors")
    assert upload.format == "safetensors"
    assert upload.arrays["y"].dtype == "int64"
