"""Data sets whose arrays are odd, hostile or don't fit together."""

import struct
from typing import Any

from tests.core.uploads.pickle_builder import safetensors
from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member, zip_file

MALFORMED, UNSUPPORTED, NAMES, SHAPES = "malformed_array", "unsupported_array", "dataset_names", "dataset_shapes"


def npy(
    shape: str = "(4,)", descr: str = "'<f4'", data: bytes = bytes(16), order: str = "False", version: bytes = b"\1\0",
    header: str | None = None,
) -> bytes:  # fmt: skip
    text = header or f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    content = text.encode("latin-1") + b" " * 7 + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(content)) + content + data


def npz(name: str, code: str | None, *members: Member, **arrays: bytes) -> Sample:
    named = [Member(f"{array.replace('__', '.')}.npy", content) for array, content in arrays.items()]
    return Sample(f"npz-{name}", zip_file(*named, *members), code, "dataset", "data.npz")


def array(name: str, code: str | None = MALFORMED, **fields: Any) -> Sample:
    return npz(f"array-{name}", code, x=npy(**fields))


X, Y = npy("(4, 1)"), npy(descr="'|u1'", data=bytes(4))
FEWER, NONE = npy("(2, 2)"), npy("(0, 2)", data=b"")
BOMB = bytes(70 << 20)
ARRAYS = (
    array("good", None),
    array("version-2", None, version=b"\2\0"),
    array("version-3", None, version=b"\3\0"),
    array("fortran", None, order="True"),
    array("of-python-2", None, shape="(4L,)"),
    array("version-9", version=b"\1\1"),
    array("object", UNSUPPORTED, descr="'|O'"),
    array("structured", UNSUPPORTED, descr="[('a', '<f4')]"),
    array("text", UNSUPPORTED, descr="'<U4'"),
    array("bytes", UNSUPPORTED, descr="'|S4'"),
    array("void", UNSUPPORTED, descr="'|V4'"),
    array("complex", UNSUPPORTED, descr="'<c8'", data=bytes(32)),
    array("float128", UNSUPPORTED, descr="'<f16'", data=bytes(64)),
    array("time", UNSUPPORTED, descr="'<M8[ns]'", data=bytes(32)),
    array("big-endian", UNSUPPORTED, descr="'>f4'"),
    array("descr-a-call", UNSUPPORTED, descr="__import__('os').system('touch marker')"),
    array("shape-a-call", shape="(print(1),)"),
    array("shape-negative", shape="(-4,)"),
    array("shape-a-list", shape="[4]"),
    array("shape-empty-part", shape="(4,,)"),
    array("shape-huge", shape="(99999999999999,)"),
    array("shape-of-long-numbers", shape="(" + "9" * 5000 + ",)"),
    array("shape-too-deep", shape="(" + "1," * 30 + "4)"),
    array("data-short", data=bytes(15)),
    array("data-long", data=bytes(17)),
    array("order-a-number", order="1"),
    array("header-nested", header="(" * 9000),
    array("header-empty", header=" "),
    array("header-too-long", header="{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}" + " " * 20_000),
    array("header-with-more", header="{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}"),
    npz("array-header-cut", MALFORMED, x=npy()[:20]),
    npz("array-no-magic", MALFORMED, x=b"hello"),
    npz("array-empty", MALFORMED, x=b""),
)
FILES = (
    npz("good", None, x=X, y=Y),
    npz("deflated", None, Member("y.npy", Y, method=8), x=X),
    npz("bomb", "archive_too_large", Member("x.npy", npy(f"({len(BOMB)},)", "'|u1'", BOMB), method=8)),
    npz("bomb-in-two-halves", "archive_too_large", *(Member(f"{n}.npy", BOMB[: 36 << 20], method=8) for n in "xy")),
    npz("climbing", "archive_member", Member("../../x.npy", X)),
    npz("in-a-folder", "archive_member", Member("a/x.npy", X)),
    npz("backslash", "archive_member", Member("a\\x.npy", X)),
    npz("twice", "malformed_archive", Member("x.npy", X), x=X),
    npz("wrong-crc", "checksum_mismatch", Member("y.npy", Y, local={"crc": 1}, entry={"crc": 1}), x=X),
    npz("foreign-member", "unsupported_format", Member("run.sh"), x=X),
    npz("too-many", NAMES, **{f"x__n{i}": X for i in range(130)}),
)
NAMED = (
    npz("train-and-test", None, x_train=X, y_train=Y, x_test=FEWER, y_test=npy("(2,)", "'<i8'")),
    npz("inputs", None, x_train__a=X, x_train__b=X, x_test__a=X, x_test__b=X),
    npz("regression", None, x=X, y=npy()),
    npz("only-y", NAMES, y=Y),
    npz("unknown-name", NAMES, x=X, images=X),
    npz("name-upper-case", NAMES, X=X),
    npz("name-unprintable", NAMES, Member("x.\x1b[2J.npy", X), x=X),
    npz("name-of-input-odd", NAMES, Member("x.1.npy", X)),
    npz("name-of-input-long", NAMES, Member(f"x.{'a' * 99}.npy", X)),
    npz("labels-of-an-input", NAMES, x__a=X, y__a=Y),
    npz("train-only", NAMES, x_train=X, y_train=Y),
    npz("test-only", NAMES, x_test=X),
    npz("all-and-train", NAMES, x=X, x_train=X, x_test=X),
    npz("y-of-train-only", NAMES, x_train=X, y_train=Y, x_test=X),
    npz("inputs-differ", NAMES, x_train__a=X, x_test__b=X),
    npz("x-and-input", NAMES, x=X, x__a=X),
    npz("y-without-x", NAMES, x_train=X, y_train=Y, y_test=Y),
    npz("counts-differ", SHAPES, x=X, y=npy("(3,)", data=bytes(12))),
    npz("counts-of-inputs-differ", SHAPES, x__a=X, x__b=FEWER),
    npz("x-a-number", SHAPES, x=npy("()", data=bytes(4))),
    npz("no-examples", SHAPES, x=NONE),
    npz("one-example", SHAPES, x=npy("(1, 4)")),
    npz("no-example-for-the-test", SHAPES, x_train=FEWER, x_test=NONE),
    npz("y-of-two-columns", SHAPES, x=X, y=X),
    npz("y-of-truth", SHAPES, x=X, y=npy(descr="'|b1'", data=bytes(4))),
    npz("types-differ", SHAPES, x_train=X, x_test=npy("(4, 1)", "'<i4'")),
    npz("ranks-differ", SHAPES, x_train=X, x_test=npy("(4,)")),
)
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
OTHERS = (
    Sample("dataset-safetensors", safetensors({"x": TENSOR}, bytes(8)), None, "dataset", "data.safetensors"),
    Sample("dataset-safetensors-names", safetensors({"w": TENSOR}, bytes(8)), NAMES, "dataset", "data.safetensors"),
    Sample("dataset-is-a-table", b"x,y\n1,2\n", "unknown_format", "dataset", "data.csv"),
    Sample("dataset-empty", b"", "empty_file", "dataset", "data.npz"),
)
SAMPLES = (*ARRAYS, *FILES, *NAMED, *OTHERS)
