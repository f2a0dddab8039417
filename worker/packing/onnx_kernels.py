"""Layers of an ONNX file that compute with packed weights: MatMulNBits and GatherBlockQuantized of ONNX Runtime."""

from collections.abc import Sequence

import onnx
import torch
from onnx import helper
from torch import Tensor

from worker.exporting.onnx_shapes import Shapes
from worker.packing.blocks import Blocks
from worker.packing.onnx_writer import MICROSOFT, Writer, import_microsoft

# Activations are rounded to int8, with a scale for each block: kernels that multiply floats are far slower.
_IN_INT8 = 4


class KernelWriter:
    """Puts a kernel in the place of each node that reads a weight. `shapes` are of the graph's values, by their names.

    Where zero points aren't whole, which kernels are slow with, a product has those in the middle, and what differs is
    added: sum of (middle - zero point) * scale * x is one small product with the sums of x over each group.
    """

    def __init__(self, model: onnx.ModelProto, shapes: Shapes) -> None:
        self._model = model
        self._shapes = shapes

    def can_write(self, readers: Sequence[onnx.NodeProto], name: str, blocks: Blocks) -> bool:
        """Whether all readers are products with the weight, or all take rows out of it."""
        if all(_is_product(node, name) and self._adds_a_vector(node, blocks) for node in readers):
            return blocks.uneven is None or all(node.input[0] in self._shapes for node in readers)
        in_whole_bytes = blocks.columns * blocks.bits % 8 == 0
        return blocks.uneven is None and in_whole_bytes and all(_is_lookup(node, name) for node in readers)

    def _adds_a_vector(self, node: onnx.NodeProto, blocks: Blocks) -> bool:
        added = self._shapes.get(node.input[2]) if len(node.input) > 2 else None
        return len(node.input) < 3 or (added is not None and _sizes(added) == [blocks.rows])

    def write(self, readers: Sequence[onnx.NodeProto], name: str, blocks: Blocks, factors: Tensor | None) -> None:
        """`factors` are of the weight's rows."""
        import_microsoft(self._model)
        writer = Writer(name)
        is_product = readers[0].op_type != "Gather"
        scale = writer.store("scale", blocks.scale)
        factor = None if factors is None else writer.store("factors", factors.reshape(-1, 1))
        operands = _operands(writer, blocks, scale, factor, is_product=is_product)
        offsets = _offsets(writer, blocks, scale, factor) if blocks.uneven is not None else None
        self._insert(0, writer)
        for node in readers:
            self._keep_shape(node.output[0], node.output[0])
            if is_product:
                self._multiply(node, operands, offsets, blocks)
            else:
                _become_lookup(node, operands, blocks)

    def _multiply(self, node: onnx.NodeProto, operands: list[str], offsets: str | None, blocks: Blocks) -> None:
        taken, answer = node.input[0], node.output[0]
        _become_product(node, operands, blocks)
        if offsets is None:
            return
        writer = Writer(answer)
        rank = len(_sizes(self._shapes[taken]))
        differing = writer.node("MatMul", _sums(writer, taken, blocks, rank), offsets)
        node.output[0] = f"{answer}.product"
        self._keep_shape(answer, node.output[0])
        writer.node("Add", node.output[0], differing)
        writer.nodes[-1].output[0] = answer
        self._insert(list(self._model.graph.node).index(node) + 1, writer)

    def _insert(self, start: int, writer: Writer) -> None:
        self._model.graph.initializer.extend(writer.stored)
        for position, node in enumerate(writer.nodes, start):
            self._model.graph.node.insert(position, node)

    def _keep_shape(self, of: str, name: str) -> None:
        """Which can't be inferred behind an operator that isn't ONNX's own."""
        answers = {each.name for each in self._model.graph.output}
        if of in self._shapes and name not in answers:
            self._model.graph.value_info.append(helper.make_value_info(name, self._shapes[of]))


def _is_product(node: onnx.NodeProto, name: str) -> bool:
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    given = {one.name: helper.get_attribute_value(one) for one in node.attribute if one.name in plain}
    is_right = list(node.input[1:2]) == [name] and list(node.input).count(name) == 1
    return node.op_type in ("MatMul", "Gemm") and is_right and given.items() <= plain.items()


def _is_lookup(node: onnx.NodeProto, name: str) -> bool:
    along = next((one.i for one in node.attribute if one.name == "axis"), 0)
    return node.op_type == "Gather" and node.input[0] == name and node.input[1] != name and along == 0


def _operands(writer: Writer, blocks: Blocks, scale: str, factor: str | None, *, is_product: bool) -> list[str]:
    """Codes, scales and, where there are some, zero points."""
    codes = _in_rows_of_blocks(writer, blocks) if is_product else writer.store("codes", blocks.codes)
    scale = writer.call("OfBlocks", scale, shape=(blocks.rows, blocks.in_row))
    zero_points = [] if blocks.zero_points is None else [writer.store("zero_points", blocks.zero_points)]
    return [codes, _times(writer, scale, factor), *zero_points]


def _in_rows_of_blocks(writer: Writer, blocks: Blocks) -> str:
    if not blocks.missing_bytes:
        return writer.store("codes", blocks.codes.reshape(blocks.rows, blocks.in_row, -1))
    ends = writer.store("ends", torch.tensor([0, 0, 0, blocks.missing_bytes]))
    padded = writer.node("Pad", writer.store("codes", blocks.codes), ends)
    return writer.shaped(padded, "shape", blocks.rows, blocks.in_row, -1)


def _offsets(writer: Writer, blocks: Blocks, scale: str, factor: str | None) -> str:
    """(middle - zero point) * scale, of shape (groups in a row, rows)."""
    assert blocks.uneven is not None
    middle = writer.store("middle", torch.tensor([float(blocks.middle)]))
    offsets = writer.node("Sub", middle, writer.in_float("zero_point", blocks.uneven))
    offsets = writer.node("Mul", offsets, writer.cast(scale))
    offsets = writer.call("OfBlocks", offsets, shape=(blocks.rows, blocks.groups_in_row))
    return writer.node("Transpose", _times(writer, offsets, factor), perm=[1, 0])


def _times(writer: Writer, values: str, factor: str | None) -> str:
    return values if factor is None else writer.node("Mul", values, factor)


def _sums(writer: Writer, taken: str, blocks: Blocks, rank: int) -> str:
    """Over each group of a row, of shape (..., groups in a row)."""
    groups = blocks.groups_in_row
    last = writer.store("last", torch.tensor([-1]))
    if groups == 1:
        return writer.node("ReduceSum", taken, last, keepdims=1)
    parted = writer.shaped(taken, "groups", *[0] * (rank - 1), groups, -1)
    return writer.node("ReduceSum", parted, last, keepdims=0)


def _become_product(node: onnx.NodeProto, operands: list[str], blocks: Blocks) -> None:
    added = list(node.input[2:])
    zero_points = operands[2:] or [""]
    inputs = [node.input[0], *operands[:2], *zero_points, *(["", *added] if added else [])]
    attributes = {"K": blocks.columns, "N": blocks.rows, "accuracy_level": _IN_INT8}
    _become(node, "MatMulNBits", inputs if added else [*inputs[:3], *operands[2:]], blocks, **attributes)


def _become_lookup(node: onnx.NodeProto, operands: list[str], blocks: Blocks) -> None:
    inputs = [operands[0], node.input[1], *operands[1:]]
    _become(node, "GatherBlockQuantized", inputs, blocks, gather_axis=0, quantize_axis=1)


def _become(node: onnx.NodeProto, operator: str, inputs: list[str], blocks: Blocks, **attributes: int) -> None:
    name, answer = node.name, node.output[0]
    node.CopyFrom(helper.make_node(operator, inputs, [answer], name=name, domain=MICROSOFT))
    attributes |= {"bits": blocks.bits, "block_size": blocks.size}
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())


def _sizes(kind: onnx.TypeProto) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in kind.tensor_type.shape.dim]
