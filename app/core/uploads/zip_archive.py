"""A zip archive whose structure has been checked, and its members' content."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from app.core.uploads import limits
from app.core.uploads.byte_ranges import ByteRange, chunks
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.zip_directory import DEFLATED, STORED, Member, malformed, read_members


class ZipArchive:
    """`members` by name. Names are unique, even when case is ignored; what they may be is up to the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: dict[str, Member] = {}
        seen: set[str] = set()
        for member in read_members(file):
            if member.name.casefold() in seen:
                raise malformed(f"The archive holds {quoted(member.name)} twice.")
            seen.add(member.name.casefold())
            self.members[member.name] = member

    def read(self, name: str, limit: int) -> bytes:
        """The whole content of a member that is known to be small."""
        member = self.members[name]
        if member.size > limit:
            raise refusal("archive_too_large", f"{quoted(name)} has {member.size} bytes; at most {limit} are read.")
        return b"".join(self.content(name))

    def content(self, name: str) -> Iterator[bytes]:
        """The content in chunks; its size and checksum have been checked when the last one has been taken."""
        member, size, crc = self.members[name], 0, 0
        for chunk in self._unpacked(member):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if size != member.size:
            raise malformed(f"{quoted(name)} unpacks to {size} bytes, not to {member.size}.")
        if crc != member.crc:
            raise refusal(
                "checksum_mismatch", f"The content of {quoted(name)} does not match its checksum: upload it again."
            )

    def check_content(self) -> None:
        """Reads everything once, for the checksums."""
        for name in self.members:
            for _ in self.content(name):
                pass

    def _unpacked(self, member: Member) -> Iterator[bytes]:
        packed = chunks(self.file, member.content)
        return _inflated(member, packed) if member.method == DEFLATED else packed

    def stored_range(self, name: str) -> ByteRange:
        """Where the bytes of a member that must not be compressed stand in the file."""
        if self.members[name].method != STORED:
            raise refusal(
                "archive_member", f"{quoted(name)} is compressed, which torch never does: save the file again."
            )
        return self.members[name].content


def _inflated(member: Member, packed: Iterator[bytes]) -> Iterator[bytes]:
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with suppress(zlib.error):  # after which the content hasn't ended
        for chunk in packed:
            for content in _pieces(inflate, chunk):
                size += len(content)
                if size > member.size:
                    raise malformed(f"{quoted(member.name)} unpacks to more than its {member.size} bytes.")
                yield content
            if inflate.unused_data:
                break
    if not inflate.eof or inflate.unused_data:
        raise malformed(f"The compressed content of {quoted(member.name)} is damaged, or doesn't end where it should.")


def _pieces(inflate: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """What one packed chunk unpacks to, a piece at a time. zlib may hold back output without input left."""
    while True:
        content = inflate.decompress(chunk, limits.CHUNK_BYTES)
        yield content
        chunk = inflate.unconsumed_tail
        if len(content) < limits.CHUNK_BYTES:
            return
