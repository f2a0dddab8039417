"""Archives of images in folders that are odd, hostile, or no data set."""

import struct
import zlib
from typing import Any

from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member, zip_file

FOLDER, LINK = ({"made_by": 3 << 8, "external": mode << 16} for mode in (0o040755, 0o120777))
FOLDERS, MALFORMED, SIZES, LARGE = "image_folders", "image_malformed", "image_sizes", "image_too_large"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int = 2, height: int = 2, depth: int = 8, data: bytes | None = None) -> bytes:
    """Grey. With `data`, what its compressed pixels are instead of zeros."""
    header = struct.pack(">2I5B", width, height, depth, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height)) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(*segments: tuple[int, bytes], width: int = 2, height: int = 2, frame: int = 0xC0) -> bytes:
    """Its headers, without pixels."""
    sizes = struct.pack(">B2HB", 8, height, width, 1) + b"\1\x11\0"
    parts = [(0xE0, b"JFIF\0"), *segments, (frame, sizes)]
    return b"\xff\xd8" + b"".join(bytes([0xFF, kind]) + struct.pack(">H", len(c) + 2) + c for kind, c in parts)


def images(name: str, code: str | None, *members: Member, **named: bytes) -> Sample:
    """`named` are files of train/cat. Where all of them are right, there is one more, since one is too few."""
    named |= {} if code else {"one_more": png()}
    files = [Member(f"train/cat/{key}.png", content) for key, content in named.items()]
    return Sample(f"images-{name}", zip_file(*files, *members), code, "dataset", "data.zip")


def image(name: str, code: str | None, content: bytes, **rejected: Any) -> Sample:
    return images(f"one-{name}", code, a=content)._replace(**rejected)


def placed(name: str, path: str, code: str | None = FOLDERS) -> Sample:
    return images(f"at-{name}", code, Member(path, png()), a=png())


HUGE = png(60_000, 60_000, data=b"")
SAMPLES = (
    images("good", None, Member("test/cat/a.png", png()), a=png(), b=png()),
    images("of-two-classes", None, Member("train/dog/a.PNG", png()), a=png()),
    images("with-folders", None, Member("train/"), Member("train/cat/"), a=png()),
    images("with-unix-folder", None, Member("train/", entry=FOLDER), a=png()),
    images("folder-as-file", "archive_member", Member("train/x", entry=FOLDER)),
    images("link", "archive_member", Member("train/a/b.png", entry=LINK)),
    images("deflated", None, Member("train/dog/a.png", png(), method=8)),
    images("wrong-crc", "checksum_mismatch", Member("train/dog/a.png", png(), local={"crc": 1}, entry={"crc": 1})),
    images("twice", "malformed_archive", Member("train/cat/A.png", png()), a=png()),
    images("one-alone", "dataset_shapes", a=png()),
    images("of-two-sizes", SIZES, a=png(), b=png(3, 3)),
    images("of-large-sides", SIZES, a=png(2000, 2)),
    images("class-of-test-alone", FOLDERS, Member("test/dog/a.png", png()), a=png()),
    images("test-alone", FOLDERS, Member("test/cat/a.png", png())),
    images("bomb", "archive_too_large", Member("train/cat/a.png", png() + bytes(70 << 20), method=8)),
    images("bomb-in-one", LARGE, Member("train/cat/a.png", png() + bytes(40 << 20), method=8)),
    placed("root", "a.png"),
    placed("another-root", "data/train/cat/a.png"),
    placed("side", "train/a.png"),
    placed("too-deep", "train/cat/b/a.png"),
    placed("another-side", "val/cat/a.png"),
    placed("upper-case-side", "Train/dog/a.png"),
    placed("climbing", "train/../a.png"),
    placed("climbing-out", "../train/cat/a.png"),
    placed("absolute", "/train/cat/a.png"),
    placed("dot", "train/./a.png"),
    placed("backslash", "train/cat/..\\a.png"),
    placed("unprintable", "train/\x1b[2J/a.png"),
    placed("long-class", f"train/{'a' * 101}/a.png"),
    placed("long-file", f"train/cat/{'a' * 300}.png"),
    placed("archive", "train/cat/a.zip"),
    placed("hidden", "__MACOSX/train/cat/._a.png"),
    placed("text", "train/cat/labels.txt"),
    placed("class-in-other-letters", "train/Katze groß/a.png", None),
    image("jpeg-in-png-name", None, jpeg(), rejected_as=MALFORMED),
    image("pixels-damaged", None, png(data=b"xx"), rejected_as=MALFORMED),
    image("pixels-missing", None, png(data=zlib.compress(b"")), rejected_as=MALFORMED),
    image("jpeg-behind-a-description", None, jpeg((0xE1, bytes(60_000)), (0xE2, bytes(9))), rejected_as=MALFORMED),
    image("huge", LARGE, HUGE),
    image("huge-jpeg", LARGE, jpeg(width=60_000, height=60_000)),
    image("of-no-width", LARGE, png(0, 5)),
    image("of-no-height", LARGE, jpeg(height=0)),
    image("of-16-bits", MALFORMED, png(depth=16)),
    image("text", MALFORMED, b"hello"),
    image("empty", MALFORMED, b""),
    image("gif", MALFORMED, b"GIF89a" + bytes(20)),
    image("archive", MALFORMED, zip_file(Member("x"))),
    image("png-cut", MALFORMED, png()[:20]),
    image("png-another-chunk", MALFORMED, png().replace(b"IHDR", b"IDAT", 1)),
    image("png-header-long", MALFORMED, png().replace(b"\0\0\0\rIHDR", b"\0\0\0\x0eIHDR", 1)),
    image("jpeg-cut", MALFORMED, jpeg()[:8]),
    image("jpeg-without-frame", MALFORMED, b"\xff\xd8\xff\xd9" + bytes(50)),
    image("jpeg-of-other-kind", MALFORMED, jpeg(frame=0xC3)),
    image("jpeg-of-two-kinds", MALFORMED, jpeg((0xC3, bytes(15)))),
    image("jpeg-segment-of-no-length", MALFORMED, b"\xff\xd8" + b"\xff\xe0\0\0" * 20),
    image("jpeg-pixels-before-frame", MALFORMED, jpeg((0xDA, b"x"))),
    image("jpeg-frame-far-away", MALFORMED, jpeg(*[(0xE2, bytes(65_000))] * 17)),
)
