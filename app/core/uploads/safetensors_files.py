"""safetensors: 8 bytes of length, a JSON header, and the tensors' bytes without gap or overlap.

(https://github.com/huggingface/safetensors#format)
"""

import math
from typing import BinaryIO, cast

from pydantic import Field, StrictInt, TypeAdapter

from app.core.errors import Invalid
from app.core.facts import ArrayFacts
from app.core.schemas import Schema
from app.core.uploads import dtypes, limits
from app.core.uploads.byte_ranges import file_size, read_range
from app.core.uploads.json_text import KeyTwice, read_json
from app.core.uploads.refusals import quoted, refusal

_LENGTH_BYTES = 8
_METADATA = "__metadata__"


class _Entry(Schema):
    dtype: str
    shape: tuple[StrictInt, ...] = Field(max_length=limits.TENSOR_RANK)
    data_offsets: tuple[StrictInt, StrictInt]


_ENTRIES = TypeAdapter(dict[str, _Entry])
_METADATA_TYPE = TypeAdapter(dict[str, str])


def malformed(detail: str) -> Invalid:
    return refusal("malformed_safetensors", f"{detail} Write the file again with the safetensors library.")


def read_safetensors(file: BinaryIO) -> dict[str, ArrayFacts]:
    """All tensors' shapes and types, in the order of their names in the header."""
    size = file_size(file)
    length = int.from_bytes(read_range(file, 0, _LENGTH_BYTES), "little")
    if length > limits.SAFETENSORS_HEADER_BYTES:
        raise malformed(f"The header is said to have {length} bytes.")
    entries = _entries(read_range(file, _LENGTH_BYTES, length))
    _check_places(entries, size - _LENGTH_BYTES - length)
    return {
        name: ArrayFacts(shape=entry.shape, dtype=dtypes.BY_SAFETENSORS[entry.dtype].name)
        for name, entry in entries.items()
    }


def _entries(header: bytes) -> dict[str, _Entry]:
    try:
        content = cast(dict[str, object], read_json(header))
        _METADATA_TYPE.validate_python(content.pop(_METADATA, {}))
        entries = _ENTRIES.validate_python(content)
    except KeyTwice as twice:
        raise malformed(f"The header holds {quoted(twice.key)} twice.") from None
    except (ValueError, RecursionError):  # what pydantic raises is a ValueError
        raise malformed("The header is not what the format demands.") from None
    if not entries:
        raise malformed("The file holds no tensor.")
    if len(entries) > limits.TENSORS:
        raise malformed(f"The file holds more than {limits.TENSORS} tensors.")
    for name, entry in entries.items():
        _check_entry(name, entry)
    return entries


def _check_entry(name: str, entry: _Entry) -> None:
    if not (name.isprintable() and 0 < len(name) <= limits.TENSOR_NAME_LENGTH):
        raise malformed(f"A tensor's name can't be used: {quoted(name)}.")
    dtype = dtypes.BY_SAFETENSORS.get(entry.dtype)
    if dtype is None:
        raise refusal(
            "unsupported_tensor", f"The tensor {quoted(name)} is of type {quoted(entry.dtype)}, which is not supported."
        )
    begin, end = entry.data_offsets
    if min(entry.shape, default=0) < 0 or end - begin != math.prod(entry.shape) * dtype.size:
        raise malformed(f"The place of {quoted(name)} does not have the size that its shape needs.")


def _check_places(entries: dict[str, _Entry], data_bytes: int) -> None:
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.data_offsets[0] != position:
            raise malformed(f"There is a gap or an overlap before {quoted(name)}.")
        position = entry.data_offsets[1]
    if position > data_bytes:
        raise refusal(
            "truncated_file",
            f"{position} bytes of tensors are announced, {data_bytes} are there: upload it again, whole.",
        )
    if position < data_bytes:
        raise malformed("There are bytes after the last tensor.")
