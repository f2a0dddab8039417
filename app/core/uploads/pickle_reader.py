"""The bytes of one pickle, bounded: the tokenizer of `pickletools` trusts the lengths that a pickle claims."""

from typing import BinaryIO

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.refusals import refusal


def malformed(what: str) -> Invalid:
    return refusal("malformed_pickle", f"{what} Save the file again and upload it as it was written.")


class PickleReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = limits.PICKLE_BYTES

    def read(self, size: int) -> bytes:
        return self._take(self._file.read(min(size, self._left + 1)))

    def readline(self) -> bytes:
        return self._take(self._file.readline(self._left + 1))

    def _take(self, content: bytes) -> bytes:
        self._left -= len(content)
        if self._left < 0:
            raise malformed(f"The pickle is longer than {limits.PICKLE_BYTES} bytes, which holds no list of tensors.")
        return content
