"""Programs of torch.export that would run something when torch loads them, or whose parts don't fit."""

import json
from typing import Any

from tests.core.uploads.pickle_builder import MARK, MARKER, MARKING, PACKED_ONE, Raw, named, tensor, torch_zip
from tests.core.uploads.program_builder import (
    BATCH,
    LEAF,
    changed,
    dict_of,
    exported_program,
    graph,
    meta,
    model,
    payload,
    tree,
    tuple_of,
)
from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member

NOT_ALLOWED, MALFORMED, TENSOR = "program_not_allowed", "malformed_exported_program", "malformed_tensor"
ENUM = {"__enum__": True, "fqn": "os:system", "name": MARKER}


def program(name: str, content: bytes, code: str | None) -> Sample:
    return Sample(f"program-{name}", content, code, file_name="upload.pt2")


def size(name: str, expression: str, code: str | None = NOT_ALLOWED) -> Sample:
    return program(f"size-{name}", exported_program(model(graph=graph(expression))), code)


def target(name: str, path: str, code: str | None = NOT_ALLOWED) -> Sample:
    return program(f"calls-{name}", exported_program(model(graph=graph(target=path))), code)


def described(name: str, code: str | None = NOT_ALLOWED, **parts: Any) -> Sample:
    return program(name, exported_program(model(**parts)), code)


def renamed(new: str) -> dict[str, Any]:
    def rename(whole: dict[str, Any]) -> None:
        whole["graph_module"]["graph"]["nodes"][0]["name"] = new

    return changed(rename)


def weight(name: str, code: str | None = TENSOR, *, record: bytes = PACKED_ONE * 2, **fields: Any) -> Sample:
    content = exported_program(weights={"w": payload(**fields)}, records={"weights/weight_0": record})
    return program(f"weight-{name}", content, code)


SIZES = (
    size("doubled", f"Mul(Integer(2), {BATCH})", None),
    size("divided", f"FloorDiv(Add({BATCH}, Integer(-1)), Integer(2))", None),
    size("old-style", "2*s77 + 1", None),
    size("squared", f"Pow({BATCH}, Integer(2))", None),
    size("runs-python", f"__import__('os').system({MARK!r})"),
    size("runs-python-in-symbol", f"Symbol(__import__('os').system({MARK!r}))"),
    size("attribute", "s77.func"),
    size("subclasses", "().__class__.__base__.__subclasses__()"),
    size("lambda", "(lambda: s77)()"),
    size("other-function", "Lambda(s77, s77)"),
    size("sympify-again", "Symbol('s77').subs(1, 2)"),
    size("text", "Symbol('exec')"),
    size("keyword-runs", "Symbol('s77', positive=exec('1'))"),
    size("keyword-other", "Symbol('s77', cls=Max)"),
    size("index", "[s77][0]"),
    size("large-number", "9" * 200),
    size("large-power", "Pow(Integer(9), Pow(Integer(9), Integer(9)))"),
    size("large-power-old-style", "9**9**9"),
    size("without-end", "s77" + " + 1" * 2500),
    size("nested", "(" * 150 + "s77" + ")" * 150),
    size("many-signs", "-" * 5000 + "s77"),
    size("long", "+".join(["s77"] * 5000)),
    size("not-closed", "Add(s77"),
    size("empty", ""),
)
TARGETS = (
    target("in-place", "torch.ops.aten.mul_.Tensor", None),
    target("size", "_operator.floordiv", None),
    target("os-system", "torch.os.system"),
    target("torch-load", "torch.load"),
    target("save", "torch.ops.aten.save.default"),
    target("from-file", "torch.ops.aten.from_file.default"),
    target("set-storage", "torch.ops.aten.set_.source_Tensor"),
    target("custom", "torch.ops.mine.run.default"),
    target("attribute-of-operator", "torch.ops.aten.mul.__class__"),
    target("deeper", "torch.ops.aten.mul.Tensor.__init__.__globals__"),
    target("attrgetter", "_operator.attrgetter"),
    target("extension", "#mine:run"),
    target("control-flow", "torch.ops.higher_order.cond"),
)
TREES = (
    described("tree-of-dict", None, out_spec=tree(dict_of(a=LEAF))),
    described("tree-imports", out_spec=tree({**dict_of(), "context": json.dumps([ENUM])})),
    described(
        "tree-of-other-class", out_spec=tree({"type": "collections.deque", "context": "null", "children_spec": []})
    ),
    described("tree-argument-is-code", in_spec=tree(tuple_of(tuple_of(), {**dict_of(x=LEAF), "context": '["x=f()"]'}))),
    described("tree-nested", out_spec="[1, " + '{"type": "builtins.list", "children_spec": [' * 5000),
    described("tree-leaf-with-context", out_spec=tree({**LEAF, "context": "1"})),
)
GRAPHS = (
    program("good", exported_program(), None),
    program("no-examples", exported_program(examples=b""), None),
    program("name-is-code", exported_program(renamed(f"x\nimport os\nos.system({MARK!r})")), MALFORMED),
    described("guard", None, guards_code=["L['x'].size()[0] % 8 == 0 and L['x'].size()[1] != 1"]),
    described("guard-runs-python", guards_code=[f"__import__('os').system({MARK!r})"]),
    described("guard-long-number", guards_code=["1" * 5000 + "x"]),
    described("range-of-no-symbol", MALFORMED, range_constraints={"s77+1": {"min_val": 0, "max_val": 1}}),
    described("range-counts-long", MALFORMED, range_constraints={"u99999999999": {"min_val": 0, "max_val": 1}}),
    described("version", MALFORMED, schema_version={"major": 9, "minor": 0}),
    described("later-field", more={}),
    program(
        "two-kinds-of-size",
        exported_program(
            changed(
                lambda whole: whole["graph_module"]["graph"]["tensor_values"]["x"]["storage_offset"].update(
                    as_expr={"expr_str": "s77"}
                )
            )
        ),
        MALFORMED,
    ),
    program(
        "custom-object",
        exported_program(
            changed(
                lambda whole: whole["graph_module"]["signature"]["input_specs"].append(
                    {"custom_obj": {"arg": {"name": "o", "class_fqn": "__torch__.C"}, "custom_obj_name": "o"}}
                )
            )
        ),
        NOT_ALLOWED,
    ),
    program(
        "other-device",
        exported_program(
            changed(
                lambda whole: whole["graph_module"]["graph"]["tensor_values"]["x"].update(
                    device={"type": "cuda", "index": 0}
                )
            )
        ),
        NOT_ALLOWED,
    ),
    program("not-json", exported_program(b"{"), MALFORMED),
    program("key-twice", exported_program(b'{"graph_module": 1, "graph_module": 2}'), MALFORMED),
    program("nested-json", exported_program(b"[" * 100_000), MALFORMED),
    program("nan", exported_program(b'{"graph_module": NaN}'), MALFORMED),
    program("no-model", exported_program(without="models/model.json"), MALFORMED),
    program("other-format", exported_program(archive_format=b"aoti"), MALFORMED),
    program("compiled", exported_program(None, Member("m/data/aotinductor/model/a.so", b"\x7fELF")), "archive_member"),
    program("two-models", exported_program(None, Member("m/models/other.json", b"{}")), "archive_member"),
    program(
        "pickled-weights-of-before", exported_program(None, Member("m/data/weights/model.pt", b"")), "archive_member"
    ),
)
EXAMPLES = (
    program("examples-call", exported_program(examples=torch_zip(MARKING)), NOT_ALLOWED),
    program("examples-are-a-pickle", exported_program(examples=b"\x80\x02" + MARKING + b"."), "truncated_file"),
    program("examples-without-storage", exported_program(examples=torch_zip(tensor(), {})), NOT_ALLOWED),
    program("examples-of-a-module", exported_program(examples=torch_zip(Raw(named("m", "C") + b")R"))), NOT_ALLOWED),
)
WEIGHTS = (
    weight("pickled", NOT_ALLOWED, use_pickle=True),
    weight("pickled-without-shape", NOT_ALLOWED, use_pickle=True, tensor_meta=None),
    weight("truncated", record=PACKED_ONE),
    weight("empty-record", record=b""),
    weight("of-no-elements", None, record=b"", tensor_meta=meta(0)),
    weight("outside", tensor_meta=meta(2, offset=1)),
    weight("strides-outside", tensor_meta=meta(2, strides=(5,))),
    weight("expanded", "unsupported_tensor", tensor_meta=meta(2, 2, strides=(0, 1))),
    weight("float8", "unsupported_tensor", tensor_meta=meta(2, dtype=29)),
    weight("type-unknown", MALFORMED, tensor_meta=meta(2, dtype=27)),
    weight("free-size", tensor_meta=meta("s77")),
    weight("elsewhere", path_name="../sample_inputs/model.pt"),
    weight("not-there", path_name="weight_1"),
    program(
        "weight-nobody-reads",
        exported_program(records={"weights/weight_0": PACKED_ONE * 2, "weights/weight_1": b""}),
        TENSOR,
    ),
    program(
        "weight-of-two-types",
        exported_program(weights={"w": payload(), "v": payload(tensor_meta=meta(2, dtype=4))}),
        TENSOR,
    ),
    program("weight-tied", exported_program(weights={"w": payload(), "v": payload()}), None),
    program(
        "constant-object",
        exported_program(
            constants={"c": payload(path_name="custom_obj_0", use_pickle=True, tensor_meta=None)},
            records={"weights/weight_0": PACKED_ONE * 2, "constants/custom_obj_0": b"\x80\x02" + MARKING + b"."},
        ),
        "archive_member",
    ),
)

SAMPLES = (*GRAPHS, *SIZES, *TARGETS, *TREES, *EXAMPLES, *WEIGHTS)
