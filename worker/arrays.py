"""Named arrays in a file, memory-mapped: they may be larger than the memory."""

import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import torch
from safetensors import safe_open

from app.core.errors import Invalid


class Array(Protocol):
    """What of numpy's arrays a data set uses."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class MappedArray:
    """An array of an .npz, mapped when its values are first asked for."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    map_values: Callable[[], np.ndarray]

    @cached_property
    def values(self) -> np.ndarray:
        return self.map_values()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.values[rows])


@dataclass(frozen=True)
class TensorArray:
    """A tensor of a .safetensors file, mapped when it is first asked for. bfloat16, which numpy doesn't know, becomes
    float32 row by row, as they are taken."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @cached_property
    def values(self) -> torch.Tensor:
        with safe_open(self.path, framework="pt") as file:
            values: torch.Tensor = file.get_tensor(self.name)
        return values

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return _as_numpy(self.values[rows])


def open_arrays(path: Path, file_format: str) -> Mapping[str, Array]:
    try:
        return _open_npz(path) if file_format == "npz" else _open_safetensors(path)
    except Invalid:
        raise
    except Exception as error:
        raise _unreadable("The file is damaged, or not what its name says.") from error


def _open_npz(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        return {
            member.filename.removesuffix(".npy"): _open_member(path, archive, member) for member in archive.infolist()
        }


def _open_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> MappedArray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
        header_size = stream.tell()
    if dtype.hasobject or dtype.kind not in "biuf":
        raise _unreadable(f"{member.filename} holds {dtype}. Only numbers and truth values are taken.")
    order: Any = "F" if fortran_order else "C"

    def map_values() -> np.ndarray:
        if member.compress_type == zipfile.ZIP_STORED:
            return np.memmap(path, dtype, "r", _start_of_data(path, member) + header_size, shape, order)
        with _unpacked(path, member.filename) as file:
            return np.memmap(file, dtype, "r", header_size, shape, order)

    return MappedArray(shape, dtype, map_values)


@contextmanager
def _unpacked(path: Path, name: str) -> Iterator[IO[bytes]]:
    """A file without a name, which is gone as soon as nothing maps it."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
            shutil.copyfileobj(stream, file)
        file.flush()
        yield file


def _start_of_data(path: Path, member: zipfile.ZipInfo) -> int:
    """The member's own header is 30 bytes, its name and an extra field, whose length only that header tells."""
    with path.open("rb") as stream:
        stream.seek(member.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", stream.read(4))
    return int(member.header_offset + 30 + name_length + extra_length)


def _open_safetensors(path: Path) -> dict[str, Array]:
    with safe_open(path, framework="pt") as file:
        return {name: _open_tensor(path, file, name) for name in file.keys()}  # noqa: SIM118


def _open_tensor(path: Path, file: Any, name: str) -> TensorArray:
    view = file.get_slice(name)
    empty = _as_numpy(torch.empty(0, dtype=_SAFETENSORS_DTYPES[view.get_dtype()]))
    return TensorArray(path, name, tuple(view.get_shape()), empty.dtype)


def _as_numpy(tensor: torch.Tensor) -> np.ndarray:
    values: np.ndarray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return values


_SAFETENSORS_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def _unreadable(detail: str) -> Invalid:
    return Invalid(detail, code="dataset_malformed", title="The data set can't be read")
