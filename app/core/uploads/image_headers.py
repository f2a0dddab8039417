"""What an image's header says of its size, so that none is decoded that is larger than it may be.

(PNG: W3C PNG third edition, 11.2.1; JPEG: ITU-T T.81, B.1.1 and B.2.2.)
"""

import struct
from typing import NamedTuple

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.refusals import quoted, refusal

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_HEADER = struct.Struct(">8sI4s2I5B")
_SEGMENT = struct.Struct(">BBH")
_FRAME = struct.Struct(">B2HB")
# Baseline, extended sequential and progressive, with Huffman coding: what decoders know.
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_NEVER_BEFORE_A_FRAME = {0x00, 0x01, *range(0xD0, 0xDB), 0xFF}


class ImageSize(NamedTuple):
    height: int
    width: int


def image_size(name: str, start: bytes) -> ImageSize:
    """`start` is an image's first bytes, at most IMAGE_HEADER_BYTES. Invalid when it is no image, or too large."""
    if start.startswith(_PNG):
        size = _png_size(name, start)
    elif start.startswith(_JPEG):
        size = _jpeg_size(name, start)
    else:
        raise malformed(name, "is neither a PNG nor a JPEG image")
    if not 0 < size.height * size.width <= limits.IMAGE_PIXELS:
        raise refusal(
            "image_too_large",
            f"The image {quoted(name)} has {size.width} x {size.height} pixels, from 1 to {limits.IMAGE_PIXELS} are "
            "allowed: make it smaller before uploading it.",
        )
    return size


def _png_size(name: str, start: bytes) -> ImageSize:
    if len(start) < _PNG_HEADER.size:
        raise malformed(name, "ends inside its header")
    _, length, kind, width, height, depth, *_ = _PNG_HEADER.unpack_from(start)
    if (length, kind) != (13, b"IHDR"):
        raise malformed(name, "does not begin with a PNG header")
    if depth == 16:
        raise malformed(name, "has 16 bits for each value; save it with 8")
    return ImageSize(height, width)


def _jpeg_size(name: str, start: bytes) -> ImageSize:
    """Segments are stepped over up to the one that describes the frame."""
    position = len(_JPEG)
    while position + _SEGMENT.size + _FRAME.size <= len(start):
        mark, kind, length = _SEGMENT.unpack_from(start, position)
        if mark != 0xFF or kind in _NEVER_BEFORE_A_FRAME or length < 2:
            break
        if kind in _OTHER_FRAMES:
            raise malformed(name, "is a JPEG of a kind that is rarely supported; save it as a baseline JPEG")
        if kind in _FRAMES:
            _, height, width, _ = _FRAME.unpack_from(start, position + _SEGMENT.size)
            return ImageSize(height, width)
        position += 2 + length
    raise malformed(name, "has no JPEG header that tells its size")


def malformed(name: str, what: str) -> Invalid:
    return refusal("image_malformed", f"The image {quoted(name)} {what}. Correct it, or leave it out.")
