"""Pickles put together opcode by opcode, and the files of torch around them."""

import json
import pickle
import struct
from collections.abc import Mapping
from typing import Any

from tests.core.uploads.zip_builder import Member, zip_file

PROTOCOL, STOP = b"\x80\x02", b"."
PACKED_ONE = struct.pack("<f", 1.0)


class Raw(bytes):
    """Opcodes that stand for a value."""


def encoded(value: Any) -> bytes:
    match value:
        case Raw():
            return value
        case tuple():
            return b"(" + b"".join(map(encoded, value)) + b"t"
        case list():
            return b"](" + b"".join(map(encoded, value)) + b"e"
        case dict():
            return b"}(" + b"".join(encoded(key) + encoded(item) for key, item in value.items()) + b"u"
        case _:
            return pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"")


def named(module: str, name: str) -> Raw:
    return Raw(f"c{module}\n{name}\n".encode())


def call(function: Raw, *arguments: Any) -> Raw:
    return Raw(function + encoded(arguments) + b"R")


# What a payload runs: an empty file is left where the process that was fooled works.
MARKER = "marker"
MARK = f"touch {MARKER}"
MARKING = call(named("os", "system"), MARK)


def stored(key: Any = "0", elements: Any = 2, kind: str = "FloatStorage", module: str = "torch") -> Raw:
    return Raw(encoded(("storage", named(module, kind), key, "cpu", elements)) + b"Q")


HOOKS = call(named("collections", "OrderedDict"))


def tensor(
    storage: Any = None, offset: Any = 0, shape: Any = (2,), strides: Any = (1,), hooks: Any = HOOKS, metadata: Any = ()
) -> Raw:
    arguments = (stored() if storage is None else storage, offset, shape, strides, False, hooks, *metadata)
    return call(named("torch._utils", "_rebuild_tensor_v2"), *arguments)


def pickled(value: Any) -> bytes:
    return PROTOCOL + encoded(value) + STOP


def torch_zip(value: Any = None, records: Mapping[str, bytes] | None = None, *more: Member) -> bytes:
    """As torch.save writes it. `value` may be opcodes of a whole pickle."""
    content = value if type(value) is bytes else pickled({"w": tensor()} if value is None else value)
    records = {"0": PACKED_ONE * 2} if records is None else records
    members = [Member("m/data.pkl", content), Member("m/byteorder", b"little")]
    members += [Member(f"m/data/{key}", record) for key, record in records.items()]
    return zip_file(*members, Member("m/version", b"3\n"), *more)


SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def legacy(
    value: Any = None,
    keys: Any = ("0",),
    storages: bytes = struct.pack("<q", 2) + PACKED_ONE * 2,
    magic: Any = LEGACY_MAGIC,
    version: Any = 1001,
    system: Any = SYSTEM,
) -> bytes:
    value = (
        {"w": tensor(Raw(encoded(("storage", named("torch", "FloatStorage"), "0", "cpu", 2, None)) + b"Q"))}
        if (value is None)
        else value
    )
    parts = (magic, version, system, value, list(keys) if isinstance(keys, tuple) else keys)
    return b"".join(map(pickled, parts)) + storages


MODULE_CODE = """class M(Module):
  __parameters__ = ["w", ]
  __buffers__ = []
  w : Tensor
  training : bool
  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
    w = self.w
    return BODY
"""


def script(
    body: str = "torch.mul(x, w)",
    *more: Member,
    code: str | bytes | None = None,
    module: Any = None,
    constants: Any = (),
    without: str = "",
    changed: Mapping[str, bytes] | None = None,
) -> bytes:
    """As torch.jit.save writes it: a module with one parameter."""
    state = Raw(named("__torch__", "M") + b")\x81" + encoded({"w": tensor(), "training": True}) + b"b")
    text = MODULE_CODE.replace("BODY", body) if code is None else code
    parts = {
        "data/0": PACKED_ONE * 2,
        "data.pkl": pickled(state if module is None else module),
        "code/__torch__.py": text.encode() if isinstance(text, str) else text,
        "constants.pkl": pickled(constants),
        "version": b"3\n",
    } | dict(changed or {})
    return zip_file(*(Member(f"m/{name}", part) for name, part in parts.items() if name != without), *more)


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + data
