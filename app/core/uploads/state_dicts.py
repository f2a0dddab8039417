"""State dicts as torch.save writes them: a zip archive since torch 1.6, a row of pickles before.

Both come down to the same: named tensors, and for each storage the place in the file where its bytes stand.
"""

import re
import struct
from typing import BinaryIO, NamedTuple

from app.core.uploads.byte_ranges import ByteRange, file_size, read_range
from app.core.uploads.pickle_globals import state_dict_global
from app.core.uploads.pickle_machine import read_pickle
from app.core.uploads.pickle_reader import malformed
from app.core.uploads.pickle_values import Pickled, Storage, Tensor
from app.core.uploads.refusals import big_endian, quoted, refusal
from app.core.uploads.torch_archive import TorchArchive
from app.core.uploads.weights import named_tensors

LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_ARCHIVE_MEMBER = re.compile(
    r"data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data/[A-Za-z0-9_]{1,64}"
)


class StateDict(NamedTuple):
    tensors: dict[str, Tensor]
    storages: dict[str, ByteRange]


def read_zip_state_dict(archive: TorchArchive) -> StateDict:
    archive.require_names(_ARCHIVE_MEMBER)
    archive.require_little_endian()
    pickled = archive.pickle("data.pkl", state_dict_global)
    return StateDict(named_tensors(pickled.value), archive.storages(pickled.storages, "data"))


def read_legacy_state_dict(file: BinaryIO) -> StateDict:
    file.seek(0)
    if read_pickle(file, state_dict_global).value != LEGACY_MAGIC:
        raise refusal(
            "unsupported_format", "This is a pickle that torch.save did not write: save model.state_dict() with it."
        )
    if read_pickle(file, state_dict_global).value != LEGACY_VERSION:
        raise refusal(
            "unsupported_format", "This file is of a version that torch.save no longer writes: save it again."
        )
    match read_pickle(file, state_dict_global).value:
        case {"little_endian": True}:
            pickled = read_pickle(file, state_dict_global)
        case _:
            raise big_endian()
    tensors = named_tensors(pickled.value)
    return StateDict(tensors, _legacy_storages(file, pickled))


def _legacy_storages(file: BinaryIO, pickled: Pickled) -> dict[str, ByteRange]:
    keys = read_pickle(file, state_dict_global).value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise malformed("The list of storages is no list of names.")
    if sorted(keys) != sorted(pickled.storages):
        raise malformed("The storages that follow are not those that the tensors need.")
    ranges: dict[str, ByteRange] = {}
    position = file.tell()
    for key in keys:
        ranges[key] = _legacy_storage(file, position, pickled.storages[key])
        position = ranges[key].end
    if position != file_size(file):
        raise malformed("There are bytes after the last storage.")
    return ranges


def _legacy_storage(file: BinaryIO, position: int, storage: Storage) -> ByteRange:
    """A count of elements as a 64-bit integer, then the elements."""
    (elements,) = struct.unpack("<q", read_range(file, position, 8))
    if elements * storage.dtype.size != storage.size:
        raise refusal(
            "malformed_tensor",
            f"Storage {quoted(storage.key)} has {elements} elements, and not what its tensors were told.",
        )
    found = ByteRange(position + 8, storage.size)
    if found.end > file_size(file):
        raise refusal("truncated_file", f"The file ends inside storage {quoted(storage.key)}: upload it again, whole.")
    return found
