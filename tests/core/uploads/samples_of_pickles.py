"""Pickles that ask for more than tensors, or describe tensors that their data can't hold."""

import struct
from typing import Any

from tests.core.uploads.pickle_builder import (
    HOOKS,
    LEGACY_MAGIC,
    MARK,
    MARKING,
    PACKED_ONE,
    PROTOCOL,
    STOP,
    SYSTEM,
    Raw,
    call,
    encoded,
    legacy,
    named,
    pickled,
    stored,
    tensor,
    torch_zip,
)
from tests.core.uploads.sample import Sample

NO_CALL = "pickle_not_allowed"
BAD_PICKLE, BAD_TENSOR, NO_SUPPORT = "malformed_pickle", "malformed_tensor", "unsupported_tensor"
TWO = PACKED_ONE * 2


def module(name: str, **state: Any) -> Raw:
    path, _, last = name.rpartition(".")
    return Raw(named(path, last) + b")\x81" + encoded({"training": True} | state) + b"b")


NETWORK = module("__main__.Net", _parameters={}, _modules={})
VIA_STACK = Raw(encoded("os") + encoded("system") + b"\x93" + encoded((MARK,)) + b"R")
ORDERED = named("collections", "OrderedDict")
TYPE, TENSOR_CLASS = named("torch._tensor", "_rebuild_from_type_v2"), named("torch", "Tensor")


def zipped(name: str, value: Any, code: str | None, records: dict[str, bytes] | None = None) -> Sample:
    return Sample(f"pickle-{name}", torch_zip(value, records), code)


def opcodes(name: str, body: bytes, code: str) -> Sample:
    return Sample(f"opcodes-{name}", torch_zip(PROTOCOL + body), code)


def old(name: str, content: bytes, code: str | None) -> Sample:
    return Sample(f"legacy-{name}", content, code)


def rebuilt(function: str, *arguments: Any) -> dict[str, Raw]:
    return {"w": call(named("torch._utils", function), *arguments)}


CALLS = (
    zipped("call", {"w": tensor(), "x": MARKING}, NO_CALL),
    zipped("call-instead-of-hooks", {"w": tensor(hooks=MARKING)}, NO_CALL),
    zipped("call-by-stack-global", {"w": tensor(), "x": VIA_STACK}, NO_CALL),
    zipped("call-by-inst", {"w": tensor(), "x": Raw(b"(" + encoded(MARK) + b"ios\nsystem\n")}, NO_CALL),
    zipped("call-by-obj", {"w": tensor(), "x": Raw(b"(" + named("os", "system") + encoded(MARK) + b"o")}, NO_CALL),
    zipped("call-by-newobj", {"w": tensor(), "x": Raw(named("os", "system") + encoded((MARK,)) + b"\x81")}, NO_CALL),
    zipped(
        "call-by-newobj-ex", {"w": tensor(), "x": Raw(named("os", "system") + encoded((MARK,)) + b"}\x92")}, NO_CALL
    ),
    zipped("call-by-build", {"w": tensor(), "x": module("builtins.object", a=MARKING)}, NO_CALL),
    zipped("call-then-damage", Raw(MARKING + b"\xff"), NO_CALL),
    zipped("named-only", {"w": tensor(), "x": named("builtins", "eval")}, NO_CALL),
    zipped("two-names", [named("os", "system"), named("builtins", "eval")], NO_CALL),
    zipped("getattr", {"w": tensor(), "x": call(named("builtins", "getattr"), 1, "real")}, NO_CALL),
    zipped("load-inside", {"w": tensor(), "x": call(named("torch", "load"), "x")}, NO_CALL),
    zipped("from-file", {"w": tensor(), "x": call(named("torch.storage", "UntypedStorage.from_file"), "x")}, NO_CALL),
    zipped("module", NETWORK, "pickled_module"),
    zipped("module-nested", {"model": NETWORK, "epoch": 1}, "pickled_module"),
    zipped("script-class", {"w": tensor(), "x": module("__torch__.M")}, NO_CALL),
    opcodes("extension", b"\x82\x01.", BAD_PICKLE),
    opcodes("next-buffer", b"\x97.", BAD_PICKLE),
    opcodes("persistent-by-line", b"P0\n.", BAD_PICKLE),
    opcodes("instruction-without-effect", encoded({"w": tensor()}) + b"\x98.", BAD_PICKLE),
    zipped("hooks-by-newobj-ex", {"w": tensor(hooks=Raw(ORDERED + b")}\x92"))}, None),
    zipped("hooks-by-inst", {"w": tensor(hooks=Raw(b"(icollections\nOrderedDict\n"))}, None),
    zipped("hooks-by-obj", {"w": tensor(hooks=Raw(b"(" + ORDERED + b"o"))}, None),
    zipped("state-of-nothing", Raw(named("__main__", "Net") + b")\x81Nb"), NO_CALL),
    zipped("state-without-parameters", module("__main__.Net", _modules={}), NO_CALL),
    zipped("state-without-modules", module("__main__.Net", _parameters={}), NO_CALL),
)
MACHINE = (
    opcodes("nothing", b"", BAD_PICKLE),
    opcodes("no-stop", b"}", BAD_PICKLE),
    opcodes("only-stop", b".", BAD_PICKLE),
    opcodes("two-values", b"}}.", BAD_PICKLE),
    opcodes("unknown", b"\xff.", BAD_PICKLE),
    opcodes("bytes-after", b"}..", BAD_PICKLE),
    opcodes("mark-alone", b"(.", BAD_PICKLE),
    opcodes("pop-nothing", b"0.", BAD_PICKLE),
    opcodes("tuple-of-nothing", b"t.", BAD_PICKLE),
    opcodes("take-a-mark", b"(\x85.", BAD_PICKLE),
    opcodes("recall-unknown", b"h\x07.", BAD_PICKLE),
    opcodes("append-to-dict", b"}Na.", BAD_PICKLE),
    opcodes("item-of-list", b"]NNs.", BAD_PICKLE),
    opcodes("items-unpaired", b"}(Nu.", BAD_PICKLE),
    opcodes("call-a-text", encoded("x") + b")R.", BAD_PICKLE),
    opcodes("arguments-are-a-list", named("torch", "Size") + b"]R.", BAD_PICKLE),
    opcodes("global-in-a-number", b"K\x01" + encoded("a") + b"\x93.", BAD_PICKLE),
    opcodes("global-named-by-number", encoded("a") + b"K\x01\x93.", BAD_PICKLE),
    opcodes("pop-a-mark", b"}(0.", "not_a_state_dict"),
    zipped(
        "old-instructions", Raw(b"(" + encoded("w") + tensor() + encoded("names") + b"(" + encoded("a") + b"ld"), None
    ),
    opcodes("text-longer-than-file", b"X\xff\xff\xff\x7fabc.", BAD_PICKLE),
    opcodes("text-of-eight-exbibytes", b"\x8d" + b"\xff" * 7 + b"\x7fabc.", BAD_PICKLE),
    opcodes("number-not-a-number", b"Ix\n.", BAD_PICKLE),
    opcodes("number-too-long", b"I" + b"9" * 5000 + b"\n.", BAD_PICKLE),
    opcodes("text-not-utf8", b"X\x01\0\0\0\xff.", BAD_PICKLE),
    opcodes("marks-nested", b"(" * 300 + b"t" * 300 + b".", BAD_PICKLE),
    opcodes("too-many-instructions", b"}" + b"N0" * 255_000 + b".", BAD_PICKLE),
    opcodes("deep-lists", b"]" * 200_000 + b"a" * 199_999 + b".", "not_a_state_dict"),
    opcodes("contains-itself", b"}q\0" + encoded("a") + b"h\0s.", "not_a_state_dict"),
    opcodes("model-contains-itself", b"}q\0" + encoded("model") + b"h\0s.", "not_a_state_dict"),
    opcodes("deep-key", b"}" + b")" + b"\x85" * 150_000 + b"Ns.", "not_a_state_dict"),
    zipped("not-a-dict", [1, 2], "not_a_state_dict"),
    zipped("one-tensor", tensor(), "not_a_state_dict"),
    zipped("no-tensors", {"epoch": 3}, "not_a_state_dict", {}),
    zipped("empty", {}, "not_a_state_dict", {}),
    zipped("names-are-numbers", {3: tensor()}, "not_a_state_dict"),
)
STORAGES = (
    zipped("storage-not-a-tuple", {"w": tensor(Raw(encoded("x") + b"Q"))}, BAD_PICKLE),
    opcodes("storage-left-out", encoded({"w": tensor()}) + encoded("x") + b"Q.", BAD_PICKLE),
    zipped("storage-key-a-number", {"w": tensor(stored(key=0))}, BAD_PICKLE),
    zipped("storage-negative", {"w": tensor(stored(elements=-2))}, BAD_PICKLE),
    zipped("storage-huge", {"w": tensor(stored(elements=1 << 60))}, BAD_PICKLE),
    zipped("storage-of-unknown-type", {"w": tensor(stored(kind="StringStorage"))}, NO_CALL),
    zipped("storage-of-no-type", {"w": tensor(stored(kind=""))}, NO_CALL),
    zipped("storage-of-gpu", {"w": tensor(stored(module="torch.cuda"))}, None),
    zipped(
        "storage-in-two-ways",
        {"a": tensor(), "b": tensor(stored(elements=1), shape=(1,))},
        BAD_PICKLE,
    ),
    zipped("record-missing", {"w": tensor(stored(key="1"))}, BAD_TENSOR),
    zipped("record-left-over", {"w": tensor()}, BAD_TENSOR, {"0": TWO, "1": TWO}),
    zipped("record-empty", {"w": tensor()}, BAD_TENSOR, {"0": b""}),
    zipped("record-short", {"w": tensor()}, BAD_TENSOR, {"0": TWO[:-1]}),
    zipped("record-long", {"w": tensor()}, BAD_TENSOR, {"0": TWO + b"x"}),
    zipped("bool-of-two", {"w": tensor(stored(kind="BoolStorage"))}, BAD_TENSOR, {"0": b"\0\2"}),
)
TENSORS = (
    zipped("beyond", {"w": tensor(shape=(3,))}, BAD_TENSOR),
    zipped("beyond-by-offset", {"w": tensor(offset=1)}, BAD_TENSOR),
    zipped("beyond-by-stride", {"w": tensor(strides=(2,))}, BAD_TENSOR),
    zipped(
        "beyond-by-type",
        {
            "w": call(
                named("torch._utils", "_rebuild_tensor_v3"),
                stored(),
                0,
                (2,),
                (1,),
                False,
                HOOKS,
                named("torch", "float64"),
            )
        },
        BAD_TENSOR,
    ),
    zipped("beyond-when-empty", {"w": tensor(offset=3, shape=(0,))}, BAD_TENSOR),
    zipped("negative-offset", {"w": tensor(offset=-1)}, BAD_TENSOR),
    zipped("negative-stride", {"w": tensor(offset=1, strides=(-1,))}, BAD_TENSOR),
    zipped("negative-size", {"w": tensor(shape=(-2,))}, BAD_TENSOR),
    zipped("size-true", {"w": tensor(shape=(True,))}, BAD_TENSOR),
    zipped("size-a-float", {"w": tensor(shape=(2.0,))}, BAD_TENSOR),
    zipped("shape-a-number", {"w": tensor(shape=2)}, BAD_TENSOR),
    zipped("shape-a-text", {"w": tensor(shape="2")}, BAD_TENSOR),
    zipped("ranks-differ", {"w": tensor(shape=(1, 2))}, BAD_TENSOR),
    zipped("rank-twenty", {"w": tensor(shape=(1,) * 20, strides=(1,) * 20)}, BAD_TENSOR),
    zipped("expanded", {"w": tensor(shape=(4, 2), strides=(0, 1))}, NO_SUPPORT),
    zipped("expanded-hugely", {"w": tensor(shape=(1 << 40,), strides=(0,))}, NO_SUPPORT),
    zipped("expanded-to-too-much", {"w": tensor(shape=(1 << 30, 1 << 30), strides=(0, 0))}, BAD_TENSOR),
    zipped(
        "overlapping-rows",
        {"w": tensor(stored(elements=3), shape=(2, 2), strides=(1, 1))},
        NO_SUPPORT,
        {"0": TWO + PACKED_ONE},
    ),
    zipped(
        "many-views-of-one",
        {f"w{i}": tensor(stored(elements=4096), shape=(4096,)) for i in range(200)},
        BAD_TENSOR,
        {"0": PACKED_ONE * 4096},
    ),
    zipped("stride-huge", {"w": tensor(shape=(1, 2), strides=(1 << 70, 1))}, BAD_TENSOR),
    zipped("expanded-to-one", {"w": tensor(shape=(1, 2), strides=(0, 1))}, None),
    zipped("expanded-from-nothing", {"w": tensor(shape=(0, 4), strides=(1, 0))}, None),
    zipped("rows-of-a-column", {"w": tensor(shape=(2, 1), strides=(1, 1))}, None),
    zipped(
        "stepped-over-odd-bytes",
        rebuilt(
            "_rebuild_tensor_v3",
            stored(elements=7, kind="UntypedStorage", module="torch.storage"),
            0,
            (2,),
            (2,),
            False,
            HOOKS,
            named("torch", "uint16"),
        ),
        None,
        {"0": bytes(7)},
    ),
    zipped("of-an-object", {"w": tensor("x")}, BAD_PICKLE),
    zipped("arguments-too-few", rebuilt("_rebuild_tensor_v2", stored()), BAD_PICKLE),
    zipped("v1", rebuilt("_rebuild_tensor", stored(), 0, (2,), (1,)), None),
    zipped("v3-arguments-too-few", rebuilt("_rebuild_tensor_v3", stored()), BAD_PICKLE),
    zipped("parameter", rebuilt("_rebuild_parameter", tensor(), True, HOOKS), None),
    zipped("parameter-of-a-text", rebuilt("_rebuild_parameter", "x", True, HOOKS), BAD_PICKLE),
    zipped("type-of-a-text", {"w": call(named("torch._tensor", "_rebuild_from_type_v2"), "x", 1)}, BAD_PICKLE),
    zipped(
        "type-in-itself", {"w": Raw(TYPE + (TYPE + TENSOR_CLASS) * 3000 + b"N" + b"\x87" * 3000 + b"R")}, BAD_PICKLE
    ),
    zipped("hooks-of-old-torch", {"w": tensor(hooks=None)}, None),
    zipped("ordered-dict-of-pairs", call(named("collections", "OrderedDict"), [["w", tensor()]]), None),
    zipped(
        "ordered-dict-of-odd-keys",
        call(named("collections", "OrderedDict"), [[[1], 2], ["w", tensor()]]),
        None,
    ),
    zipped("ordered-dict-of-texts", call(named("collections", "OrderedDict"), ["w"]), BAD_PICKLE),
    zipped("negated-view", {"w": tensor(metadata=({"neg": True},))}, NO_SUPPORT),
    zipped("sparse", rebuilt("_rebuild_sparse_tensor", "x"), NO_SUPPORT, {}),
    zipped("quantized", rebuilt("_rebuild_qtensor", stored(kind="QInt8Storage")), NO_SUPPORT, {"0": b"xx"}),
    zipped("meta", rebuilt("_rebuild_meta_tensor_no_storage", "x"), NO_SUPPORT, {}),
    zipped("complex", {"w": tensor(stored(kind="ComplexFloatStorage"))}, NO_SUPPORT, {"0": TWO * 2}),
    zipped(
        "float8",
        rebuilt(
            "_rebuild_tensor_v3",
            stored(kind="UntypedStorage", module="torch.storage"),
            0,
            (2,),
            (1,),
            False,
            HOOKS,
            named("torch", "float8_e4m3fn"),
        ),
        NO_SUPPORT,
        {"0": b"xx"},
    ),
    zipped(
        "unused-sparse-one",
        {"state_dict": {"w": tensor()}, "other": call(named("torch._utils", "_rebuild_sparse_tensor"), 1)},
        None,
    ),
    zipped("name-empty", {"": tensor()}, BAD_TENSOR),
    zipped("name-unprintable", {"a\x1b[2J": tensor()}, BAD_TENSOR),
    zipped("name-too-long", {"a" * 600: tensor()}, BAD_TENSOR),
    zipped("name-empty-after-prefix", {"module.": tensor()}, BAD_TENSOR),
    zipped("name-lone-surrogate", {Raw(b"X\x03\0\0\0\xed\xa0\x80"): tensor()}, BAD_TENSOR),
    Sample(
        "pickle-too-many-tensors",
        torch_zip(Raw(b"}(" + b"".join(encoded(f"{i}") + tensor() for i in range(10_001)) + b"u")),
        BAD_TENSOR,
    ),
)
OLD_NEGATIVE = Raw(encoded(("storage", named("torch", "FloatStorage"), "0", "cpu", -2, None)) + b"Q")
OLD_HUGE = Raw(encoded(("storage", named("torch", "FloatStorage"), "0", "cpu", 1 << 60, None)) + b"Q")
ELEMENTS = struct.pack("<q", 2)
LEGACY = (
    old("good", legacy(), None),
    old("plain-pickle", pickled({"a": 1}), "unsupported_format"),
    old("call", pickled(MARKING), NO_CALL),
    old("call-in-object", legacy(value={"w": MARKING}), NO_CALL),
    old("call-in-keys", legacy(keys=MARKING), NO_CALL),
    old(
        "module",
        legacy(
            value=Raw(
                encoded(("module", named("__main__", "Net"), "f.py", "source"))
                + b"Q"
                + b")\x81"
                + encoded({"_parameters": {}, "_modules": {}})
                + b"b"
            )
        ),
        "pickled_module",
    ),
    old("other-magic", legacy(magic=LEGACY_MAGIC + 1), "unsupported_format"),
    old("other-version", legacy(version=1002), "unsupported_format"),
    old("big-endian", legacy(system=SYSTEM | {"little_endian": False}), "unsupported_format"),
    old("system-a-list", legacy(system=[1]), "unsupported_format"),
    old("cut-in-pickle", legacy()[:150], BAD_PICKLE),
    old("cut-in-storage", legacy()[:-1], "truncated_file"),
    old("cut-before-storage", legacy(storages=b""), "truncated_file"),
    old("cut-in-count", legacy(storages=b"\2\0\0"), "truncated_file"),
    old("trailing", legacy() + b"x", BAD_PICKLE),
    old("other-count", legacy(storages=struct.pack("<q", 3) + TWO + PACKED_ONE), BAD_TENSOR),
    old("negative-count", legacy(storages=struct.pack("<q", -2) + TWO), BAD_TENSOR),
    old("key-missing", legacy(keys=()), BAD_PICKLE),
    old("key-twice", legacy(keys=("0", "0"), storages=(ELEMENTS + TWO) * 2), BAD_PICKLE),
    old("key-a-number", legacy(keys=(0,)), BAD_PICKLE),
    old("keys-of-two-types", legacy(keys=("0", 0)), BAD_PICKLE),
    old("huge-storage", legacy(value={"w": tensor(OLD_HUGE)}), BAD_PICKLE),
    old("negative-storage", legacy(value={"w": tensor(OLD_NEGATIVE)}), BAD_PICKLE),
    old("keys-no-list", legacy(keys={"0": 1}), BAD_PICKLE),
    old("protocol-only", PROTOCOL, BAD_PICKLE),
    old("endless-line", PROTOCOL + b"c" + b"a" * 5000, BAD_PICKLE),
    old("text-of-eight-exbibytes", PROTOCOL + b"\x8d" + b"\xff" * 7 + b"\x7f" + STOP, BAD_PICKLE),
    old("text-longer-than-file", PROTOCOL + b"X\xff\xff\xff\x7f" + STOP, BAD_PICKLE),
)
SAMPLES = (*CALLS, *MACHINE, *STORAGES, *TENSORS, *LEGACY)
