"""The header of a .npy file (numpy.lib.format, versions 1.0 to 3.0), read without evaluating it."""

import math
import re
from collections.abc import Iterator

from app.core.errors import Invalid
from app.core.facts import ArrayFacts
from app.core.uploads import dtypes, limits
from app.core.uploads.refusals import quoted, refusal

MAGIC = b"\x93NUMPY"
_LENGTH_SIZES = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}
_HEADER = re.compile(
    r"\{\s*'descr':\s*(?P<descr>.{1,400}?),\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\((?P<shape>[0-9L, ]*)\)\s*,?\s*\}\s*",
    re.DOTALL,
)
_DESCR = re.compile(r"'([<>|=]?[A-Za-z][0-9]{0,6})'")


def read_array(name: str, size: int, content: Iterator[bytes]) -> ArrayFacts:
    """What the header says, after all of `content` (of `size` bytes) has been taken."""
    start = b""
    for chunk in content:
        start = start if len(start) > limits.NPY_HEADER_BYTES else start + chunk
    length_size = _LENGTH_SIZES.get(start[6:8], 0) if start[:6] == MAGIC else 0
    if not length_size:
        raise _malformed(name, "is no .npy file of a version that is known")
    length = int.from_bytes(start[8 : 8 + length_size], "little")
    header = start[8 + length_size : 8 + length_size + length]
    if length > limits.NPY_HEADER_BYTES or len(header) != length:
        raise _malformed(name, "has a header that is cut off or too long")
    facts = _facts(name, header.decode("latin-1"))
    expected = math.prod(facts.shape) * dtypes.BY_NAME[facts.dtype].size
    if size - 8 - length_size - length != expected:
        raise _malformed(name, f"needs {expected} bytes of data for shape {facts.shape} and has others")
    return facts


def _facts(name: str, header: str) -> ArrayFacts:
    found = _HEADER.fullmatch(header)
    if not found:
        raise _malformed(name, "has a header that numpy does not write")
    descr = _DESCR.fullmatch(found["descr"])
    dtype = dtypes.BY_NPY.get(descr[1]) if descr else None
    if dtype is None:
        raise refusal(
            "unsupported_array",
            f"The array {quoted(name)} is of type {quoted(found['descr'])}. Supported are "
            "little-endian floats of 16 to 64 bits, integers and bool: convert it with .astype before saving.",
        )
    sizes = [part.strip().removesuffix("L") for part in found["shape"].split(",")]
    if sizes[-1] == "":
        sizes.pop()
    if len(sizes) > limits.TENSOR_RANK or not all(part.isdecimal() and len(part) < 16 for part in sizes):
        raise _malformed(name, "has a shape that is not a row of sizes")
    return ArrayFacts(shape=tuple(map(int, sizes)), dtype=dtype.name)


def _malformed(name: str, what: str) -> Invalid:
    return refusal("malformed_array", f"The array {quoted(name)} {what}. Save it again with numpy.savez.")
