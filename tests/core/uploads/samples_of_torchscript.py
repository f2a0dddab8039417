"""TorchScript archives whose code does more than compute outputs, or whose parts don't fit."""

from tests.core.uploads.pickle_builder import MARKING, PACKED_ONE, Raw, encoded, named, pickled, script, tensor
from tests.core.uploads.sample import Sample
from tests.core.uploads.zip_builder import Member

NOT_ALLOWED, MALFORMED = "code_not_allowed", "malformed_torchscript"
WITH_SETSTATE = """class M(Module):
  w : Tensor
  def __setstate__(self: __torch__.M, state: Tensor) -> NoneType:
    self.w = state
    return None
"""
WITH_SAVE_METHOD = """class M(Module):
  w : Tensor
  def save(self: __torch__.M, x: Tensor) -> Tensor:
    return (x).save("marker", )
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    return (self).save(x, )
"""
UNPAIRED = Raw(named("__torch__", "M") + b")\x81(Nu" + encoded({"w": tensor(), "training": True}) + b"b")
PACKED = "code/__torch__/torch/ao/nn/quantized/modules/conv.py"
NESTED = 100_000
# Each list is put into the one before it only after that one has been put into its own.
DEEP_BY_MEMO = Raw(b"]q\0" + b"".join(b"h%c]q%ca0" % (i, i + 1) for i in range(250)))
SHARED = Raw(b"]q\0" + b"0](" + b"h\0" * 2000 + b"eq\0" + b"0](" + b"h\0" * 2000 + b"e")


def body(name: str, text: str, code: str | None = NOT_ALLOWED) -> Sample:
    """`text` is the expression that the module's forward returns."""
    return Sample(f"script-{name}", script(text), code)


def instance(name: str) -> Raw:
    path, _, last = name.rpartition(".")
    return Raw(named(path, last) + b")\x81" + encoded({"w": tensor()}) + b"b")


CODE = (
    body("good", "torch.mul(x, w)", None),
    body("in-place", "torch.relu_(torch.mul(x, w))", None),
    body("submodule-by-getattr", 'getattr(self, "w")', None),
    body("text-with-a-call", 'torch.format("x.save() # {}", x)', None),
    body("text-with-escapes", 'torch.format("a\\"b\\\\", x)', None),
    body("numbers", "torch.add(x, 1.0000000000000001e-05, alpha=-1)", None),
    body("constants", "torch.add(x, CONSTANTS.c0)", None),
    body("save", 'torch.save(x, "marker")'),
    body("from-file", 'torch.from_file("/etc/passwd")'),
    body("reshape-alias", "torch._reshape_alias(x, [2], [1000000000])"),
    body("set-storage", "torch.set_(x, w)"),
    body("resize", "torch.resize_(x, [1000000000])"),
    body("unknown-operator", "torch.no_such_operator(x)"),
    body("operator-assigned", "torch.save"),
    body("submodule-of-torch", "torch.ops.aten.save(x)"),
    body("operator-across-lines", 'torch\n .\n save(x, "marker")'),
    body("method-save", '(x).save("marker", )'),
    body("method-not-declared", "(x).pin_memory()"),
    body("class-of-packed-parameters", "__torch__.torch.classes.quantized.Conv2dPackedParamsBase", None),
    body("method-by-name-save", 'x.save("marker")'),
    body("method-after-index", 'x[0].save("marker")'),
    body("method-after-number", '1..save("marker")'),
    body("method-after-text", '"a".save("marker")'),
    body("method-across-lines", '(x)\n .  save("marker", )'),
    body("getattr-save", 'getattr(x, "save")("marker", )'),
    body("getattr-by-other-quotes", "getattr(x, 'save')"),
    body("getattr-by-escapes", 'getattr(x, "s\\141ve")'),
    body("getattr-with-spaces", 'getattr (x, "save")'),
    body("getattr-nested", 'getattr(getattr(x, "save"), "save")'),
    body("custom-namespace", "ops.evil.run(x)"),
    body("namespace-torch", "ops.torch.mul(x, w)"),
    body("namespace-aten", 'ops.aten.save(x, "marker")'),
    body("prim-operator", "ops.prim.PythonOp(x)"),
    body("namespace-alone", "ops"),
    body("custom-class", "__torch__.torch.classes.dist_rpc.WorkerInfo(x)"),
    body("fork", "fork(x)"),
    body("remote-call", "rpc_async(x)"),
    body("awaitable", "awaitable(x)"),
    body("brackets", "(" * NESTED + "x" + ")" * NESTED),
    body("square-brackets", "[" * NESTED + "x" + "]" * NESTED),
    body("minus-signs", "-" * NESTED + "x"),
    body("nots", "not " * NESTED + "x"),
    body("comment", "x # comment"),
    body("line-continued", "x \\\n + w"),
    body("single-quotes", "torch.format('a', x)"),
    body("text-not-closed", 'torch.format("a, x)'),
    body("text-of-three-quotes", 'torch.format("""a""", x)'),
    body("text-of-backslashes", 'torch.format("' + '\\"' * 50_000),
    body("control-character", "x\x07"),
    body("tab", "x\t"),
    body("form-feed", "x\x0c"),
    Sample("script-indentation", script(code="class M(Module):\n" + " " * 1000 + "pass\n"), NOT_ALLOWED),
    Sample("script-setstate", script(code=WITH_SETSTATE), NOT_ALLOWED),
    Sample("script-setstate-across-lines", script(code=WITH_SETSTATE.replace("def ", "def \n ")), NOT_ALLOWED),
    Sample("script-setstate-of-packed", script("x", Member(f"m/{PACKED}", WITH_SETSTATE.encode())), None),
    Sample("script-save-is-a-method", script(code=WITH_SAVE_METHOD), NOT_ALLOWED),
    Sample("script-not-ascii", script(code="x = 1 \xe9".encode()), MALFORMED),
    Sample("script-second-file", script("x", Member("m/code/__torch__/b.py", b"torch.save(x)")), NOT_ALLOWED),
    Sample("script-code-too-long", script("x", Member("m/code/a.py", b" " * (9 << 20), method=8)), "archive_too_large"),
)
PARTS = (
    *(
        Sample(f"script-without-{part.replace('/', '-')}", script(without=part), code)
        for part, code in {
            "data.pkl": "unsupported_format",
            "constants.pkl": MALFORMED,
            "version": MALFORMED,
            "code/__torch__.py": MALFORMED,
            "data/0": "malformed_tensor",
        }.items()
    ),
    Sample("script-version-a-word", script(changed={"version": b"three\n"}), MALFORMED),
    Sample("script-version-long", script(changed={"version": b"3" * 100}), "archive_too_large"),
    Sample("script-two-versions", script("x", Member("m/.data/version", b"10\n")), MALFORMED),
    Sample("script-big-endian", script("x", Member("m/byteorder", b"big")), "unsupported_format"),
    Sample("script-for-mobile", script("x", Member("m/bytecode.pkl", pickled(()))), "archive_member"),
    Sample("script-foreign-member", script("x", Member("m/x.so")), "archive_member"),
    Sample("script-code-elsewhere", script("x", Member("m/code/../x.py")), "archive_member"),
    Sample("script-extra-file", script("x", Member("m/extra/labels.txt", b"a")), None),
    Sample("script-extra-file-like-code", script("x", Member("m/extra/a.py", b"torch.save(x)")), None),
    Sample("script-debug-file", script("x", Member("m/code/__torch__.py.debug_pkl", pickled(()))), None),
    Sample(
        "script-code-unpacks-to-much",
        script("x", Member("m/code/a.py.debug_pkl", bytes(65 << 20), method=8)),
        "archive_too_large",
    ),
    Sample(
        "script-extra-unpacks-to-much", script("x", Member("m/extra/a", bytes(65 << 20), method=8)), "archive_too_large"
    ),
    Sample("script-record-short", script(changed={"data/0": PACKED_ONE}), "malformed_tensor"),
    Sample("script-flipped-bit", script().replace(PACKED_ONE * 2, PACKED_ONE + bytes(4)), "checksum_mismatch"),
    Sample("script-record-left-over", script(changed={"data/1": PACKED_ONE}), "malformed_tensor"),
    Sample("script-constant", script(constants=(tensor(),), changed={"constants/0": PACKED_ONE * 2}), None),
    Sample(
        "script-constant-short", script(constants=(tensor(),), changed={"constants/0": PACKED_ONE}), "malformed_tensor"
    ),
    Sample("script-constant-missing", script(constants=(tensor(),)), "malformed_tensor"),
    Sample(
        "script-traced-inputs",
        script(changed={"traced_inputs.pkl": pickled({"forward": [tensor()]}), "traced_inputs/0": b""}),
        None,
    ),
    Sample(
        "script-traced-inputs-missing", script(changed={"traced_inputs.pkl": pickled([tensor()])}), "malformed_tensor"
    ),
    Sample(
        "script-traced-inputs-short",
        script(changed={"traced_inputs.pkl": pickled([tensor()]), "traced_inputs/0": PACKED_ONE}),
        "malformed_tensor",
    ),
    Sample("script-pickle-no-module", script(module=[1]), "malformed_tensor"),
    Sample("script-pickle-no-module-but-tensor", script(module=[tensor()]), MALFORMED),
    Sample("script-pickle-items-unpaired", script(module=UNPAIRED), "malformed_pickle"),
    Sample("script-pickle-call", script(module=MARKING), "pickle_not_allowed"),
    Sample(
        "script-pickle-custom-class",
        script(module=instance("__torch__.torch.classes.dist_rpc.WorkerInfo")),
        "pickle_not_allowed",
    ),
    Sample("script-pickle-odd-class", script(module=instance("__torch__.a-b")), "pickle_not_allowed"),
    Sample("script-pickle-deep", script(constants=Raw(b"]" * 300 + b"a" * 299)), "malformed_pickle"),
    Sample("script-pickle-deep-by-memo", script(constants=DEEP_BY_MEMO), "malformed_pickle"),
    Sample("script-pickle-in-itself", script(constants=Raw(b"]q\0h\0a")), "malformed_pickle"),
    Sample("script-pickle-shared", script(constants=SHARED), None),
    Sample("script-constants-call", script(constants=MARKING), "pickle_not_allowed"),
)
SAMPLES = (*CODE, *PARTS)
