"""Files of other formats, and safetensors files that are wrong."""

import json
import struct
from typing import Any

from tests.core.uploads.pickle_builder import pickled, safetensors
from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member, zip_file

OTHER, UNKNOWN, MALFORMED = "unsupported_format", "unknown_format", "malformed_safetensors"
EIGHT = bytes(8)


def entry(dtype: Any = "F32", shape: Any = (2,), begin: Any = 0, end: Any = 8, **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def tensors(name: str, header: Any, code: str | None = MALFORMED, data: bytes = EIGHT, **more: Any) -> Sample:
    return Sample(f"safetensors-{name}", safetensors(header, data, **more), code, file_name="upload.safetensors")


ONE = {"w": entry()}
FORMATS = (
    Sample("empty", b"", "empty_file"),
    Sample("one-byte", b"\x80", UNKNOWN),
    Sample("text", b"Dear service,\nhere is my model.\n", UNKNOWN),
    Sample("html", b"<!doctype html><title>404</title>", UNKNOWN),
    Sample("git-lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", UNKNOWN),
    Sample("zeros", bytes(100), UNKNOWN),
    Sample("old-pickle", b"(dp0\nS'a'\np1\nI1\ns.", UNKNOWN),
    Sample("name-unprintable", bytes(101), UNKNOWN, file_name="a\x1b[2J\n.pt"),
    Sample("hdf5", b"\x89HDF\r\n\x1a\n" + EIGHT, OTHER),
    Sample("gzip", b"\x1f\x8b\x08" + EIGHT, OTHER),
    Sample("npy", b"\x93NUMPY\x01\0" + EIGHT, OTHER),
    Sample("npz-as-model", zip_file(Member("x.npy")), OTHER, file_name="upload.npz"),
    Sample(
        "exported-program-old", zip_file(Member("serialized_exported_program.json", b"{}")), OTHER, file_name="a.pt2"
    ),
    Sample("images-as-model", zip_file(Member("train/cat/1.PNG")), OTHER, file_name="images.zip"),
    Sample("zip-of-texts", zip_file(Member("readme.txt")), OTHER),
    Sample("pickle-protocol-0x80", b"\x80\x09" + pickled(1)[2:], UNKNOWN),
)
SAFETENSORS = (
    tensors("good", ONE, None),
    tensors("metadata", ONE | {"__metadata__": {"format": "pt"}}, None),
    tensors("scalar", {"w": entry("F64", ())}, None),
    tensors("empty-tensor", ONE | {"e": entry("I8", (0, 5), 8, 8)}, None),
    tensors("padded", json.dumps(ONE).encode() + b" " * 9, None),
    tensors("length-beyond-file", ONE, "truncated_file", length=500),
    tensors("length-over-limit", ONE, length=(16 << 20) + 1),
    tensors("length-huge", ONE, length=(1 << 63) + 5),
    tensors("length-too-short", ONE, length=5),
    tensors("length-zero", ONE, length=0),
    tensors("data-short", ONE, "truncated_file", bytes(7)),
    tensors("data-long", ONE, data=bytes(9)),
    tensors("data-missing", ONE, "truncated_file", b""),
    tensors("no-tensor", {}, data=b""),
    tensors("only-metadata", {"__metadata__": {}}, data=b""),
    tensors("not-json", b"{'w': 1}" + b" " * 50),
    tensors("not-utf8", b'{"\xff": 1}'),
    tensors("nan", b'{"w": NaN}'),
    tensors("deep", b'{"w":' + b"[" * 100_000),
    tensors("name-twice", b'{"w": %b, "w": %b}' % ((json.dumps(entry()).encode(),) * 2)),
    tensors("field-twice", json.dumps(ONE).replace('"dtype"', '"dtype": "F16", "dtype"').encode()),
    tensors("metadata-of-numbers", ONE | {"__metadata__": {"a": 1}}),
    tensors("metadata-a-list", ONE | {"__metadata__": [1]}),
    tensors("more-fields", {"w": entry(more=1)}),
    tensors("field-missing", {"w": {"dtype": "F32", "shape": [2]}}),
    tensors("entry-a-number", {"w": 3}),
    tensors("shape-of-floats", {"w": entry(shape=(2.5,))}),
    tensors("shape-of-texts", {"w": entry(shape=("2",))}),
    tensors("shape-of-truth", {"w": entry(shape=(2, True))}),
    tensors("shape-negative", {"w": entry(shape=(-2, -1))}),
    tensors("shape-too-deep", {"w": entry(shape=(2,) + (1,) * 20)}),
    tensors("shape-too-large", {"w": entry(shape=(1 << 62, 1 << 62))}),
    tensors("size-differs", {"w": entry(shape=(3,))}),
    tensors("offsets-reversed", {"w": entry(begin=8, end=0)}),
    tensors("offsets-three", {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]}}),
    tensors("gap", {"a": entry(), "b": entry(begin=12, end=20)}, data=bytes(20)),
    tensors("gap-at-start", {"w": entry(begin=8, end=16)}, data=bytes(16)),
    tensors("overlap", {"a": entry(), "b": entry(begin=4, end=12)}, data=bytes(12)),
    tensors("same-place", {"a": entry(), "b": entry()}),
    tensors("float8", {"w": entry("F8_E4M3", (8,))}, "unsupported_tensor"),
    tensors("dtype-empty", {"w": entry("")}, "unsupported_tensor"),
    tensors("dtype-unknown", {"w": entry("F33")}, "unsupported_tensor"),
    tensors("name-empty", {"": entry()}),
    tensors("name-unprintable", {"a\x1b[2J": entry()}),
    tensors("name-too-long", {"a" * 600: entry()}),
    tensors("name-lone-surrogate", b'{"\\ud800": %b}' % json.dumps(entry()).encode()),
    tensors("too-many", {f"{i}": entry("I8", (0,), 0, 0) for i in range(10_001)}, data=b""),
    Sample("safetensors-cut-in-length", struct.pack("<I", 9) + b"\0\0\0", UNKNOWN),
)
SAMPLES = (*FORMATS, *SAFETENSORS)
