"""Reading parts of a file by position, without ever holding more than was asked for."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from app.core.uploads.limits import CHUNK_BYTES
from app.core.uploads.refusals import refusal


class ByteRange(NamedTuple):
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def file_size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def read_range(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    content = file.read(size)
    if len(content) != size:
        raise refusal(
            "truncated_file", f"{size} bytes are needed at position {offset}, and only {len(content)} are there."
        )
    return content


def chunks(file: BinaryIO, wanted: ByteRange) -> Iterator[bytes]:
    for offset in range(wanted.offset, wanted.end, CHUNK_BYTES):
        yield read_range(file, offset, min(CHUNK_BYTES, wanted.end - offset))
