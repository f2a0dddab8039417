"""What the zip archives of torch.save and torch.jit.save have in common."""

import io
import re

from app.core.uploads import limits
from app.core.uploads.byte_ranges import ByteRange
from app.core.uploads.pickle_machine import Resolve, read_pickle
from app.core.uploads.pickle_reader import malformed
from app.core.uploads.pickle_values import Pickled, Storage
from app.core.uploads.refusals import big_endian, quoted, refusal
from app.core.uploads.zip_archive import ZipArchive

RECORD_FOLDERS = ("data", "constants", "traced_inputs")
_BYTE_ORDER_BYTES = 16


class TorchArchive:
    """`names` are the members' names below the archive's one root folder."""

    def __init__(self, archive: ZipArchive) -> None:
        self._archive = archive
        roots = {name.partition("/")[0] for name in archive.members}
        if len(roots) != 1:
            raise refusal("malformed_archive", "The archive has more than one root folder, which torch never writes.")
        self._root = roots.pop()
        if not self._root.isprintable() or self._root in ("", ".", ".."):
            raise refusal("archive_member", f"The archive's root folder is named {quoted(self._root)}.")
        self.names = [name.partition("/")[2] for name in archive.members]
        self._check_size()

    def _check_size(self) -> None:
        """Records hold as many bytes as the file does; all else may be compressed, and is small in any real archive."""
        named = zip(self.names, self._archive.members.values(), strict=True)
        total = sum(member.size for name, member in named if name.partition("/")[0] not in RECORD_FOLDERS)
        if total > limits.BESIDE_RECORDS_BYTES:
            raise refusal("archive_too_large", f"Code and pickles unpack to {total} bytes, far more than a model has.")

    def require_names(self, allowed: re.Pattern[str]) -> None:
        for name in self.names:
            if not allowed.fullmatch(name):
                raise refusal("archive_member", f"The archive holds {quoted(name)}, which torch does not write there.")

    def require_little_endian(self) -> None:
        if "byteorder" in self.names and self.read("byteorder", _BYTE_ORDER_BYTES) != b"little":
            raise big_endian()

    def read(self, name: str, limit: int) -> bytes:
        return self._archive.read(f"{self._root}/{name}", limit)

    def stored_range(self, name: str) -> ByteRange:
        """Where the bytes of a record stand in the file."""
        return self._archive.stored_range(f"{self._root}/{name}")

    def pickle(self, name: str, resolve: Resolve) -> Pickled:
        content = io.BytesIO(self.read(name, limits.PICKLE_BYTES))
        pickled = read_pickle(content, resolve)
        if content.read(1):
            raise malformed(f"There are bytes after the end of {name}.")
        return pickled

    def storages(self, needed: dict[str, Storage], folder: str, *, may_be_empty: bool = False) -> dict[str, ByteRange]:
        """Where each storage's bytes stand in the file; the folder must hold these and no others."""
        there = {name.partition("/")[2] for name in self.names if name.partition("/")[0] == folder}
        if there != set(needed):
            odd = sorted(there.symmetric_difference(needed))[0]
            raise refusal("malformed_tensor", f"The record {folder}/{quoted(odd)} is not there, or no tensor needs it.")
        ranges = {key: self.stored_range(f"{folder}/{key}") for key in needed}
        for key, found in ranges.items():
            if found.size != needed[key].size and not (may_be_empty and found.size == 0):
                what = f"{folder}/{quoted(key)} has {found.size} bytes, its tensors need {needed[key].size}."
                raise refusal("malformed_tensor", f"The record {what}")
        return ranges
