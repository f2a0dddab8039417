"""The end records, central directory and local headers of a zip archive, read strictly.

Only one reading of the bytes is accepted: the archive starts at the file's first byte, its members stand one after
another without gap or overlap, each local header says what the central directory says, and nothing follows the end.
(APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3.)
"""

import struct
from typing import BinaryIO, NamedTuple

from app.core.uploads import limits
from app.core.uploads.byte_ranges import ByteRange, file_size, read_range
from app.core.uploads.refusals import quoted, refusal

STORED, DEFLATED = 0, 8
LOCAL_MAGIC, ENTRY_MAGIC, END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ZIP64_EXTRA = 1
_FOLDER, _FILE = 0o04, 0o10
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_HAS_DESCRIPTOR, _DEFLATE_LEVEL, _UTF8 = 1 << 3, 0b110, 1 << 11


class Member(NamedTuple):
    name: str
    method: int
    crc: int
    content: ByteRange
    size: int


class Entry(NamedTuple):
    """A member as the central directory tells of it."""

    name: bytes
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    header_offset: int


class _Directory(NamedTuple):
    range: ByteRange
    entries: int


def malformed(detail: str) -> Exception:
    return refusal("malformed_archive", f"{detail} Save the file again and upload it as it was written.")


def read_members(file: BinaryIO) -> list[Member]:
    """All members in the order of their place in the file. Their content has not been looked at."""
    directory = _find_directory(file)
    entries = sorted(_entries(file, directory), key=lambda entry: entry.header_offset)
    places = [*(entry.header_offset for entry in entries), directory.range.offset]
    if places[0] != 0:
        raise malformed("There are bytes before the zip archive's first member.")
    return [_member(file, entry, end) for entry, end in zip(entries, places[1:], strict=True)]


def _find_directory(file: BinaryIO) -> _Directory:
    end_offset = file_size(file) - _END.size
    end = read_range(file, max(end_offset, 0), _END.size)
    magic, disk, first_disk, here, entries, size, offset, comment = _END.unpack(end)
    if magic != END_MAGIC or comment:
        raise refusal("truncated_file", "The zip archive does not end with its directory: upload it again, whole.")
    if disk not in (0, _FULL16) or first_disk not in (0, _FULL16) or here != entries:
        raise malformed("The zip archive is one part of several.")
    directory, after = _Directory(ByteRange(offset, size), entries), end_offset
    if read_range(file, max(end_offset - _LOCATOR64.size, 0), 4) == b"PK\x06\x07":
        directory, after = _find_directory64(file, end_offset, directory)
    if directory.range.end != after:
        raise malformed("The zip archive's directory does not stand right before its end record.")
    if directory.entries > limits.ARCHIVE_MEMBERS or directory.range.size > limits.DIRECTORY_BYTES:
        raise refusal("archive_too_large", f"The archive holds more than {limits.ARCHIVE_MEMBERS} files.")
    return directory


def _find_directory64(file: BinaryIO, end_offset: int, narrow: _Directory) -> tuple[_Directory, int]:
    locator_offset = end_offset - _LOCATOR64.size
    _, disk, offset64, _ = _LOCATOR64.unpack(read_range(file, locator_offset, _LOCATOR64.size))
    if disk or offset64 != locator_offset - _END64.size:
        raise malformed("The zip64 end record is not where the archive says.")
    record = _END64.unpack(read_range(file, offset64, _END64.size))
    magic, record_size, _, _, disk, first_disk, here, entries, size, offset = record
    if magic != b"PK\x06\x06" or record_size != _END64.size - 12 or disk or first_disk or here != entries:
        raise malformed("The zip64 end record is not well formed.")
    wide = _Directory(ByteRange(offset, size), entries)
    pairs = (
        (narrow.entries, entries, _FULL16),
        (narrow.range.size, size, _FULL32),
        (narrow.range.offset, offset, _FULL32),
    )
    if any(short not in (full, long) for short, long, full in pairs):
        raise malformed("The zip archive's two end records contradict each other.")
    return wide, offset64


def _entries(file: BinaryIO, directory: _Directory) -> list[Entry]:
    content = read_range(file, *directory.range)
    entries, position = [], 0
    for _ in range(directory.entries):
        entry, position = _entry(content, position)
        entries.append(entry)
    if position != len(content):
        raise malformed("The zip archive's directory holds more than its entries.")
    return entries


def _entry(content: bytes, position: int) -> tuple[Entry, int]:
    if position + _ENTRY.size > len(content):
        raise malformed("The zip archive's directory ends inside an entry.")
    fields = _ENTRY.unpack_from(content, position)
    magic, made_by, _, flags, method, _, _, crc, compressed, size, name, extra, comment, disk, _, external, offset = (
        fields
    )
    name_at = position + _ENTRY.size
    end = name_at + name + extra + comment
    if magic != ENTRY_MAGIC or disk or comment:  # an entry that reaches too far is found by the next one, or at the end
        raise malformed("An entry of the zip archive's directory is not well formed.")
    raw_name = content[name_at : name_at + name]
    _check_kind(raw_name, flags, method, made_by, external)
    wide = _extra_field(content[name_at + name : name_at + name + extra], _ZIP64_EXTRA)
    size, compressed, offset = _widened(wide, size, compressed, offset)
    return Entry(raw_name, flags, method, crc, compressed, size, offset), end


def _check_kind(name: bytes, flags: int, method: int, made_by: int, external: int) -> None:
    shown = quoted(name.decode("latin-1"))
    if flags & 1:
        raise refusal("archive_member", f"The archive's file {shown} is encrypted.")
    allowed = _HAS_DESCRIPTOR | _UTF8 | (_DEFLATE_LEVEL if method == DEFLATED else 0)
    if flags & ~allowed or method not in (STORED, DEFLATED):
        raise refusal("archive_member", f"The archive's file {shown} is stored in a way that is not supported.")
    kind = external >> 28 if made_by >> 8 == 3 else 0
    if kind not in (0, _FOLDER if name.endswith(b"/") else _FILE):
        raise refusal("archive_member", f"The archive's file {shown} is a link or a device, not a file.")


def _extra_field(extra: bytes, wanted: int) -> bytes:
    """The content of one extra field, empty when it is not there."""
    found, position = b"", 0
    while position < len(extra):
        if position + 4 > len(extra):
            raise malformed("A header's extra field ends too early.")
        identity, size = struct.unpack_from("<2H", extra, position)
        content = extra[position + 4 : position + 4 + size]
        if len(content) != size or (identity == wanted and found):
            raise malformed("A header's extra field is not well formed.")
        found = content if identity == wanted else found
        position += 4 + size
    return found


def _widened(wide: bytes, *narrow: int) -> list[int]:
    """Each 32-bit number that is full is replaced by the next 64-bit one of the zip64 extra field."""
    values, position = [], 0
    for number in narrow:
        if number == _FULL32:
            if position + 8 > len(wide):
                raise malformed("A zip64 size is missing.")
            number = int.from_bytes(wide[position : position + 8], "little")
            position += 8
        values.append(number)
    return values


def _member(file: BinaryIO, entry: Entry, end: int) -> Member:
    shown = quoted(entry.name.decode("latin-1"))
    if entry.header_offset + _LOCAL.size > end:
        raise malformed(f"The archive's file {shown} overlaps another.")
    header = _LOCAL.unpack(read_range(file, entry.header_offset, _LOCAL.size))
    magic, _, flags, method, _, _, crc, compressed, size, name_size, extra_size = header
    names = read_range(file, entry.header_offset + _LOCAL.size, name_size + extra_size)
    if (magic, flags, method, names[:name_size]) != (LOCAL_MAGIC, entry.flags, entry.method, entry.name):
        raise malformed(f"The local header of {shown} differs from the archive's directory.")
    content = ByteRange(entry.header_offset + _LOCAL.size + len(names), entry.compressed_size)
    wide = _extra_field(names[name_size:], _ZIP64_EXTRA)
    _check_sizes(file, entry, (crc, compressed, size), wide, ByteRange(content.end, end - content.end))
    if entry.method == STORED and entry.size != entry.compressed_size:
        raise malformed(f"The archive's file {shown} has two sizes.")
    return Member(_decoded(entry.name), entry.method, entry.crc, content, entry.size)


def _check_sizes(file: BinaryIO, entry: Entry, local: tuple[int, int, int], wide: bytes, after: ByteRange) -> None:
    """The sizes in a local header, or, where it leaves them open, in the data descriptor after the content.

    `after` reaches from there to the next member; its size is negative where the content overlaps that.
    """
    expected = (entry.crc, entry.compressed_size, entry.size)
    if entry.flags & _HAS_DESCRIPTOR:
        shape = {16: "<4s3I", 24: "<4sI2Q"}.get(after.size)
        found = struct.unpack(shape, read_range(file, *after)) if shape else ()
        agrees = found == (b"PK\x07\x08", *expected)
        agrees = agrees and all(here in (0, _FULL32, there) for here, there in zip(local, expected, strict=True))
    else:
        crc, compressed, size = local
        size, compressed = _widened(wide, size, compressed)
        agrees = (crc, compressed, size) == expected and after.size == 0
    if not agrees:
        raise malformed(f"The sizes of {quoted(entry.name.decode('latin-1'))} contradict each other.")


def _decoded(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed(f"The file name {quoted(name.decode('latin-1'))} is not UTF-8.") from None
