"""Zip archives in which every field can be wrong."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Member:
    """`local` and `entry` replace fields of the local header and of the directory's entry, by name."""

    name: str | bytes
    content: bytes = b""
    method: int = 0
    flags: int = 0
    descriptor: bytes | None = None
    local: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    after: bytes = b""

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()


def deflated(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


def zip_file(
    *members: Member, prefix: bytes = b"", between: bytes = b"", before_end: bytes = b"", after: bytes = b"", **end: int
) -> bytes:
    body, directory = prefix, b""
    for member in members:
        offset = len(body)
        packed = deflated(member.content) if member.method == 8 else member.content
        fields = {
            "magic": b"PK\x03\x04", "made_by": 0, "needs": 20, "flags": member.flags, "method": member.method,
            "time": 0, "date": 0, "crc": zlib.crc32(member.content), "packed": len(packed), "size": len(member.content),
            "name": member.raw_name, "extra": b"", "offset": offset, "external": 0, "comment": b"", "disk": 0,
        }  # fmt: skip
        body += _local(fields | member.local) + packed + (member.descriptor or b"") + member.after
        directory += _entry(fields | {"magic": b"PK\x01\x02"} | member.entry)
    start = len(body) + len(between)
    fields = {"disk": 0, "first_disk": 0, "here": len(members), "entries": len(members), "size": len(directory)}
    fields |= {"offset": start, "comment": 0} | end
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", *fields.values())
    return body + between + directory + before_end + tail + after


def end64(count: int, size: int, offset: int, /, *, at: int, **changed: int) -> bytes:
    fields = {"record": 44, "made_by": 45, "needs": 45, "disk": 0, "first": 0, "here": count, "entries": count}
    fields |= {"size": size, "offset": offset} | {key: value for key, value in changed.items() if key != "locator"}
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", *fields.values())
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, changed.get("locator", at), 1)


def _local(f: dict[str, Any]) -> bytes:
    numbers = (f["needs"], f["flags"], f["method"], f["time"], f["date"], f["crc"], f["packed"], f["size"])
    header = struct.pack("<4s5H3I2H", f["magic"], *numbers, len(f["name"]), len(f["extra"]))
    return header + f["name"] + f["extra"]


def _entry(f: dict[str, Any]) -> bytes:
    numbers = (
        f["made_by"],
        f["needs"],
        f["flags"],
        f["method"],
        f["time"],
        f["date"],
        f["crc"],
        f["packed"],
        f["size"],
    )
    lengths = (len(f["name"]), len(f["extra"]), len(f["comment"]))
    header = struct.pack("<4s6H3I5H2I", f["magic"], *numbers, *lengths, f["disk"], 0, f["external"], f["offset"])
    return header + f["name"] + f["extra"] + f["comment"]
