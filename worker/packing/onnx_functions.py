"""What makes packed weights float32 in an ONNX file: written once in it, and named where a weight is unpacked.

As nodes of its own for each weight, with their constants, it took a kilobyte and a half: in few bits that is more than
a small weight. ONNX Runtime puts a function's nodes in its place when it opens a file.
"""

import onnx
from onnx import parser

DOMAIN = "modelpress"
_VERSION = 1

# One code after another, of the shape, from a row of bytes for each of their bits.
_BITS = """Bits <shape> (rows) => (codes) {
    shifts = Constant <value = uint8[8] {0, 1, 2, 3, 4, 5, 6, 7}> ()
    one = Constant <value = uint8[1] {1}> ()
    start = Constant <value = int64[1] {0}> ()
    rest = Constant <value = int64[1] {-1}> ()
    sizes = Constant <value_ints: ints = @shape> ()
    apart = Unsqueeze (rows, rest)
    moved = BitShift <direction = "RIGHT"> (apart, shifts)
    each = BitwiseAnd (moved, one)
    bits = Shape <start = 0, end = 1> (rows)
    flat = Concat <axis = 0> (bits, rest)
    row = Reshape (each, flat)
    column = Unsqueeze (shifts, rest)
    place = Slice (column, start, bits)
    placed = BitShift <direction = "LEFT"> (row, place)
    parts = Cast <to = 1> (placed)
    whole = ReduceSum <keepdims = 0> (parts, start)
    count = ReduceProd (sizes)
    cut = Slice (whole, start, count)
    codes = Reshape (cut, sizes)
}"""

# The level that each code numbers.
_LEVELS = """Levels (codes, levels) => (values) {
    number = Cast <to = 7> (codes)
    values = Gather (levels, number)
}"""


def _scaling(signature: str, values: str, *made_by: str) -> str:
    """code * scale, of which each group of neighbours has one, in a row of its own. `values` is what is multiplied: the
    `row` of numbers, or what `made_by` makes of it."""
    return f"""{signature} => (values) {{
        rest = Constant <value = int64[1] {{-1}}> ()
        groups = Shape <start = 0, end = 1> (scale)
        flat = Concat <axis = 0> (groups, rest)
        number = Cast <to = 1> (codes)
        row = Reshape (number, flat)
        {" ".join(made_by)}
        factor = Cast <to = 1> (scale)
        scaled = Mul ({values}, factor)
        sizes = Shape (codes)
        values = Reshape (scaled, sizes)
    }}"""


_SCALED = _scaling("Scaled (codes, scale)", "row")
# Of codes that count from a zero point of the group.
_SCALED_FROM = _scaling(
    "ScaledFrom (codes, scale, zero_point)", "above", "zero = Cast <to = 1> (zero_point)", "above = Sub (row, zero)"
)

# Of each group one for each of its blocks, in the rows of the shape.
_OF_BLOCKS = """OfBlocks <shape> (groups) => (blocks) {
    rest = Constant <value = int64[1] {-1}> ()
    sizes = Constant <value_ints: ints = @shape> ()
    count = Shape <start = 0, end = 1> (groups)
    values = ReduceProd (sizes)
    each = Div (values, count)
    repeated = Concat <axis = 0> (count, each)
    column = Cast <to = 1> (groups)
    row = Expand (column, repeated)
    blocks = Reshape (row, sizes)
}"""

_OPSET = 18
_WRITTEN = {text.partition(" ")[0]: text for text in (_BITS, _LEVELS, _SCALED, _SCALED_FROM, _OF_BLOCKS)}


def import_functions(model: onnx.ModelProto) -> None:
    """Those that its nodes name."""
    named = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    missing = named - {each.name for each in model.functions}
    model.functions.extend(_parsed(name) for name in sorted(missing))
    if named and all(each.domain != DOMAIN for each in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, _VERSION))


def _parsed(name: str) -> onnx.FunctionProto:
    header = f'<opset_import: ["" : {_OPSET}], domain: "{DOMAIN}">'
    return parser.parse_function(f"{header} {_WRITTEN[name]}")
