"""A pickled state dict written as safetensors, piece by piece."""

import itertools
import json
import mmap
from collections.abc import Iterator
from typing import BinaryIO, Literal, Protocol

from app.core.uploads import limits
from app.core.uploads.byte_ranges import ByteRange, chunks
from app.core.uploads.pickle_values import Tensor
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.state_dicts import StateDict
from app.core.uploads.tensors import byte_count, is_contiguous

_ALIGNMENT = 8
_ITEM_FORMATS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Target(Protocol):
    """Takes bytes, one piece after another."""

    def write(self, data: bytes, /) -> object: ...


def write_safetensors(file: BinaryIO, state_dict: StateDict, target: Target) -> None:
    """The largest element types first, so that each tensor starts at a multiple of its element's size."""
    names = sorted(state_dict.tensors, key=lambda name: (-state_dict.tensors[name].dtype.size, name))
    target.write(_header({name: state_dict.tensors[name] for name in names}))
    for name in names:
        tensor = state_dict.tensors[name]
        for content in _content(file, tensor, state_dict.storages[tensor.storage.key]):
            _check_bool(name, tensor, content)
            target.write(content)


def _header(tensors: dict[str, Tensor]) -> bytes:
    entries, position = {}, 0
    for name, tensor in tensors.items():
        end = position + byte_count(tensor)
        entries[name] = {"dtype": tensor.dtype.safetensors, "shape": tensor.shape, "data_offsets": (position, end)}
        position = end
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return len(header).to_bytes(8, "little") + header


def _content(file: BinaryIO, tensor: Tensor, storage: ByteRange) -> Iterator[bytes]:
    """The elements in C order."""
    if not byte_count(tensor):
        return iter(())
    if is_contiguous(tensor):
        return chunks(file, ByteRange(storage.offset + tensor.offset * tensor.dtype.size, byte_count(tensor)))
    return _gathered(file, tensor, storage)


def _gathered(file: BinaryIO, tensor: Tensor, storage: ByteRange) -> Iterator[bytes]:
    """The rows of a tensor that is a view across its storage, some of them or a part of one at a time."""
    end = storage.end - storage.size % tensor.dtype.size
    gathered = bytearray()
    with (
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as whole,
        whole[storage.offset : end] as content,
        content.cast(_ITEM_FORMATS[tensor.dtype.size]) as items,
    ):
        for places in _row_pieces(tensor):
            with items[places] as piece:
                gathered += piece.tobytes()
            if len(gathered) >= limits.CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
    yield bytes(gathered)


def _row_pieces(tensor: Tensor) -> Iterator[slice]:
    """Where the elements of each row stand in the storage, in slices of bounded length."""
    *sizes, row_size = tensor.shape
    *strides, row_stride = tensor.strides
    step = max(row_stride, 1)
    for place in itertools.product(*map(range, sizes)):
        row = tensor.offset + sum(index * stride for index, stride in zip(place, strides, strict=True))
        for first in range(0, row_size, limits.CHUNK_BYTES):
            last = min(first + limits.CHUNK_BYTES, row_size) - 1
            yield slice(row + first * step, row + last * step + 1, step)


def _check_bool(name: str, tensor: Tensor, content: bytes) -> None:
    if tensor.dtype.name == "bool" and content.translate(None, b"\0\1"):
        raise refusal("malformed_tensor", f"The bool tensor {quoted(name)} holds other bytes than 0 and 1.")


def check_expansion(state_dict: StateDict, uploaded_bytes: int) -> None:
    total = sum(map(byte_count, state_dict.tensors.values()))
    if total > limits.CONVERTED_TO_UPLOADED_RATIO * uploaded_bytes:
        raise refusal(
            "malformed_tensor",
            f"The tensors overlap so much that {uploaded_bytes} bytes become {total}. Call .clone() on views.",
        )
