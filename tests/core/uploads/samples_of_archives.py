"""Zip archives that two readers could read in two ways, or that are damaged."""

import struct
import zlib

from tests.core.uploads.pickle_builder import PACKED_ONE, pickled, tensor, torch_zip
from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member, deflated, end64, zip_file

DATA = PACKED_ONE * 2
PICKLE = Member("m/data.pkl", pickled({"w": tensor()}))
RECORD = Member("m/data/0", DATA)
VERSION = Member("m/version", b"3\n")
GOOD = (PICKLE, RECORD, VERSION)
FULL = 0xFFFFFFFF


def odd(**changes: object) -> bytes:
    """The good archive with one record that differs."""
    return zip_file(PICKLE, Member(**({"name": "m/data/0", "content": DATA} | changes)), VERSION)  # type: ignore[arg-type]


def with_end64(**changes: int) -> bytes:
    plain = zip_file(*GOOD)
    size, offset = struct.unpack("<2I", plain[-10:-2])
    at = len(plain) - 22
    return plain[:at] + end64(3, size, offset, at=at, **changes) + plain[at:]


def with_bytes_after_entries(more: bytes) -> bytes:
    """The last record counts these to the directory."""
    size = struct.unpack("<I", zip_file(*GOOD)[-10:-6])[0]
    return zip_file(*GOOD, before_end=more, size=size + len(more))


def descriptor(*numbers: int, magic: bytes = b"PK\x07\x08", shape: str = "<3I") -> bytes:
    return magic + struct.pack(shape, *numbers)


def wide(*numbers: int) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


CRC = zlib.crc32(DATA)
NO_SIZES = {"crc": 0, "packed": 0, "size": 0}
WIDE_SIZES = {"packed": FULL, "size": FULL, "extra": wide(8, 8)}
WIDE_AND_PADDING = WIDE_SIZES | {"extra": wide(8, 8) + b"FB\x01\0x"}
NARROW_SIZE = {"size": FULL, "extra": b"\x01\0\x01\0\x08"}


def record_until(offset: int) -> bytes:
    """The good archive with a record that is said to reach to the next local header, far away."""
    start = zip_file(PICKLE, RECORD).index(DATA) + len(WIDE_SIZES["extra"])
    size = offset - start
    sizes = WIDE_SIZES | {"extra": wide(size, size)}
    beyond = Member("m/version", b"3\n", entry={"offset": FULL, "extra": wide(offset)})
    return zip_file(PICKLE, Member("m/data/0", DATA, local=sizes, entry=sizes), beyond)


PLAIN = PICKLE.content
UNFINISHED = zlib.compressobj(9, zlib.DEFLATED, -15)
UNFINISHED_PICKLE = UNFINISHED.compress(PLAIN) + UNFINISHED.flush(zlib.Z_SYNC_FLUSH)


def packed_pickle(packed: bytes) -> bytes:
    """The good archive with a pickle that is said to be deflated to these bytes."""
    fields = {"method": 8, "size": len(PLAIN), "crc": zlib.crc32(PLAIN)}
    return zip_file(Member("m/data.pkl", packed, local=fields, entry=fields), RECORD, VERSION)


def five_entries(content: bytes) -> bytes:
    """The archive with another count in its last record."""
    return content[:-14] + struct.pack("<2H", 5, 5) + content[-10:]


SAMPLES = (
    Sample("zip-deflate-trailing", packed_pickle(deflated(PLAIN) + b"xx"), "malformed_archive"),
    Sample("zip-deflate-unfinished", packed_pickle(UNFINISHED_PICKLE), "malformed_archive"),
    Sample("zip-end-magic", zip_file(*GOOD).replace(b"PK\5\6", b"PK\5\7"), "truncated_file"),
    Sample("zip-comment-missing", zip_file(*GOOD, comment=1), "truncated_file"),
    Sample("zip-end64-magic", with_end64().replace(b"PK\6\6", b"PK\6\5"), "malformed_archive"),
    Sample("zip-end64-first-disk", with_end64(first=1), "malformed_archive"),
    Sample("zip-end64-fewer-here", with_end64(here=2), "malformed_archive"),
    Sample("zip-end64-contradicted", five_entries(with_end64()), "malformed_archive"),
    Sample("zip", zip_file(*GOOD), None),
    Sample("zip-end64", with_end64(), None),
    Sample("zip-descriptor", odd(flags=8, local=NO_SIZES, descriptor=descriptor(CRC, 8, 8)), None),
    Sample("zip-descriptor64", odd(flags=8, local=NO_SIZES, descriptor=descriptor(CRC, 8, 8, shape="<I2Q")), None),
    Sample("zip-wide-sizes", odd(local=WIDE_SIZES, entry=WIDE_SIZES), None),
    Sample("zip-wide-sizes-before-padding", odd(local=WIDE_AND_PADDING, entry=WIDE_AND_PADDING), None),
    Sample("zip-empty", zip_file(), "unsupported_format"),
    Sample("zip-cut", zip_file(*GOOD)[:-30], "truncated_file"),
    Sample("zip-cut-in-first", zip_file(*GOOD)[:40], "truncated_file"),
    Sample("zip-only-magic", b"PK\x03\x04", "truncated_file"),
    Sample("zip-trailing", zip_file(*GOOD, after=b"x"), "truncated_file"),
    Sample("zip-comment", zip_file(*GOOD, comment=1, after=b"x"), "truncated_file"),
    Sample("zip-two-archives", zip_file(*GOOD) + zip_file(*GOOD), "malformed_archive"),
    Sample("zip-prefix", zip_file(*GOOD, prefix=b"PK\x03\x04xxxx"), "malformed_archive"),
    Sample("zip-gap-before-directory", zip_file(*GOOD, between=b"x"), "malformed_archive"),
    Sample("zip-gap-after-directory", zip_file(*GOOD, before_end=b"x"), "malformed_archive"),
    Sample("zip-directory-longer-than-entries", with_bytes_after_entries(b"x"), "malformed_archive"),
    Sample("zip-gap-between", odd(after=b"hidden"), "malformed_archive"),
    Sample("zip-hidden-member", odd(after=zip_file(RECORD)[:-22]), "malformed_archive"),
    Sample("zip-several-disks", zip_file(*GOOD, disk=1), "malformed_archive"),
    Sample("zip-first-disk", zip_file(*GOOD, first_disk=1), "malformed_archive"),
    Sample("zip-fewer-here", zip_file(*GOOD, here=2), "malformed_archive"),
    Sample("zip-fewer-entries", zip_file(*GOOD, here=2, entries=2), "malformed_archive"),
    Sample("zip-more-entries", zip_file(*GOOD, here=4, entries=4), "malformed_archive"),
    Sample("zip-directory-elsewhere", zip_file(*GOOD, offset=0), "malformed_archive"),
    Sample("zip-end64-elsewhere", with_end64(locator=0), "malformed_archive"),
    Sample("zip-end64-beyond", with_end64(locator=1 << 62), "malformed_archive"),
    Sample("zip-end64-other-count", with_end64(here=2, entries=2), "malformed_archive"),
    Sample("zip-end64-other-size", with_end64(size=3), "malformed_archive"),
    Sample("zip-end64-several-disks", with_end64(disk=1), "malformed_archive"),
    Sample("zip-end64-on-another-disk", with_end64().replace(b"PK\6\7\0", b"PK\6\7\1"), "malformed_archive"),
    Sample("zip-end64-longer", with_end64(record=60), "malformed_archive"),
    Sample("zip-entry-magic", odd(entry={"magic": b"PK\x01\x03"}), "malformed_archive"),
    Sample("zip-entry-comment", odd(entry={"comment": b"x"}), "malformed_archive"),
    Sample("zip-entry-disk", odd(entry={"disk": 1}), "malformed_archive"),
    Sample("zip-entry-extra-cut", odd(entry={"extra": b"\x01\0\x08"}), "malformed_archive"),
    Sample("zip-entry-extra-short", odd(entry={"extra": b"FB\x08\0x"}), "malformed_archive"),
    Sample("zip-entry-extra-twice", odd(entry=WIDE_SIZES | {"extra": wide(8, 8) * 2}), "malformed_archive"),
    Sample("zip-entry-wide-missing", odd(entry={"size": FULL}), "malformed_archive"),
    Sample("zip-entry-wide-cut", odd(entry=NARROW_SIZE), "malformed_archive"),
    Sample("zip-local-magic", odd(local={"magic": b"PK\x03\x05"}), "malformed_archive"),
    Sample("zip-local-name", odd(local={"name": b"m/data/1"}), "malformed_archive"),
    Sample("zip-local-flags", odd(local={"flags": 1 << 11}), "malformed_archive"),
    Sample("zip-local-method", odd(local={"method": 8}), "malformed_archive"),
    Sample("zip-local-size", odd(local={"size": 9}), "malformed_archive"),
    Sample("zip-local-crc", odd(local={"crc": 1}), "malformed_archive"),
    Sample("zip-local-wide-differs", odd(local=WIDE_SIZES | {"extra": wide(8, 9)}), "malformed_archive"),
    Sample(
        "zip-same-local-entry",
        zip_file(PICKLE, RECORD, Member("m/x", entry={"offset": 0}), VERSION),
        "malformed_archive",
    ),
    Sample(
        "zip-content-overlaps",
        odd(local={"packed": 900, "size": 900}, entry={"packed": 900, "size": 900}),
        "malformed_archive",
    ),
    Sample("zip-header-beyond", odd(entry={"offset": 1 << 20}), "malformed_archive"),
    Sample("zip-header-beyond-any-file", record_until(1 << 63), "malformed_archive"),
    Sample("zip-two-sizes", odd(local={"size": 9}, entry={"size": 9}), "malformed_archive"),
    Sample("zip-descriptor-missing", odd(flags=8, local=NO_SIZES), "malformed_archive"),
    Sample(
        "zip-descriptor-differs", odd(flags=8, local=NO_SIZES, descriptor=descriptor(CRC, 8, 9)), "malformed_archive"
    ),
    Sample(
        "zip-descriptor-magic",
        odd(flags=8, local=NO_SIZES, descriptor=descriptor(CRC, 8, 8, magic=b"PK\x07\x09")),
        "malformed_archive",
    ),
    Sample(
        "zip-descriptor-local-differs",
        odd(flags=8, local={"size": 3}, descriptor=descriptor(CRC, 8, 8)),
        "malformed_archive",
    ),
    Sample("zip-descriptor-unasked", odd(descriptor=descriptor(CRC, 8, 8)), "malformed_archive"),
    Sample("zip-twice", zip_file(*GOOD, VERSION), "malformed_archive"),
    Sample("zip-twice-by-case", zip_file(*GOOD, Member("m/VERSION", b"3\n")), "malformed_archive"),
    Sample("zip-name-not-utf8", zip_file(*GOOD, Member(b"m/\xff")), "malformed_archive"),
    Sample("zip-wrong-crc", odd(local={"crc": 1}, entry={"crc": 1}), "checksum_mismatch"),
    Sample("zip-flipped-bit", zip_file(*GOOD).replace(DATA, b"\1" + DATA[1:]), "checksum_mismatch"),
    Sample("zip-encrypted", odd(flags=1), "archive_member"),
    Sample("zip-odd-flag", odd(flags=1 << 5), "archive_member"),
    Sample("zip-lzma", odd(local={"method": 14}, entry={"method": 14}), "archive_member"),
    Sample(
        "zip-lzma-pickle",
        zip_file(Member("m/data.pkl", PLAIN, local={"method": 14}, entry={"method": 14}), RECORD, VERSION),
        "archive_member",
    ),
    Sample("zip-link", odd(entry={"made_by": 3 << 8, "external": 0o120777 << 16}), "archive_member"),
    Sample("zip-device", odd(entry={"made_by": 3 << 8, "external": 0o020666 << 16}), "archive_member"),
    Sample("zip-unix-file", odd(entry={"made_by": 3 << 8, "external": 0o100644 << 16}), None),
    Sample("zip-deflated-record", odd(method=8), "archive_member"),
    Sample("zip-deflated-pickle", zip_file(Member("m/data.pkl", PICKLE.content, method=8), RECORD, VERSION), None),
    Sample(
        "zip-deflate-damaged",
        zip_file(Member("m/data.pkl", PICKLE.content, method=8), RECORD).replace(
            deflated(PICKLE.content)[:20], b"\xff" * 20
        ),
        "malformed_archive",
    ),
    Sample(
        "zip-deflate-longer",
        zip_file(Member("m/data.pkl", PICKLE.content, method=8, local={"size": 50}, entry={"size": 50}), RECORD),
        "malformed_archive",
    ),
    Sample(
        "zip-deflate-shorter",
        zip_file(Member("m/data.pkl", PICKLE.content, method=8, local={"size": 999}, entry={"size": 999}), RECORD),
        "malformed_archive",
    ),
    Sample("zip-many-members", zip_file(*(Member(f"m/data/{i}") for i in range(16_400))), "archive_too_large"),
    Sample("zip-two-roots", zip_file(*GOOD, Member("n/x")), "malformed_archive"),
    Sample(
        "zip-no-root", zip_file(*(Member(f"/{member.name}", member.content) for member in GOOD)), "unsupported_format"
    ),
    Sample(
        "zip-root-of-dots",
        zip_file(*(Member(f"../{str(member.name)[2:]}", member.content) for member in GOOD)),
        "archive_member",
    ),
    Sample(
        "zip-root-unprintable",
        zip_file(*(Member(f"\x1b[2J/{str(member.name)[2:]}", member.content) for member in GOOD)),
        "archive_member",
    ),
    Sample("zip-climbing-name", torch_zip(None, None, Member("m/../../x")), "archive_member"),
    Sample("zip-nul-in-name", torch_zip(None, None, Member("m/data/0\0.py")), "archive_member"),
    Sample("zip-folder", torch_zip(None, None, Member("m/data/")), "archive_member"),
    Sample("zip-foreign-member", torch_zip(None, None, Member("m/run.sh")), "archive_member"),
    Sample("zip-big-endian", zip_file(*GOOD, Member("m/byteorder", b"big")), "unsupported_format"),
    Sample("zip-long-byteorder", zip_file(*GOOD, Member("m/byteorder", b"little" * 99)), "archive_too_large"),
)
