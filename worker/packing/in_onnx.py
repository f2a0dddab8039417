"""Packed weights in an ONNX file. Products with them and lookups in them become kernels of ONNX Runtime that compute
with the packed codes. Where there is none, the few operators that unpack a weight stand before its readers: they are
carried out once, when a session starts, and the layer computes in float32 as before."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from worker.exporting.onnx import layer_of
from worker.exporting.onnx_apart import load_graph, load_weights
from worker.exporting.onnx_shapes import shapes_in
from worker.packing.blocks import in_blocks
from worker.packing.onnx_functions import import_functions
from worker.packing.onnx_kernels import KernelWriter
from worker.packing.onnx_writer import Writer
from worker.packing.packed import Cast, Codebook, Float8, Grouped, Joined, Multiplied, Packed, RowsScaled, is_in_bits

# What a small tensor would save is less than what its operator takes.
FEWEST_VALUES = 64
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


@dataclass(frozen=True)
class Weight:
    """A float32 tensor of the file, of shape (rows, ...): one row for each thing that it computes, and transposed for
    that where the file has it the other way. `layers` are those that read it."""

    name: str
    values: Tensor
    transposed: bool
    layers: frozenset[str]
    operators: frozenset[str]

    @property
    def rows(self) -> int:
        return self.values.shape[:-1].numel() if self.values.ndim == 3 else self.values.shape[0]

    @property
    def is_bias(self) -> bool:
        """ONNX has those of recurrent layers as (directions, values)."""
        return self.values.ndim < 2 or (self.values.ndim == 2 and self.operators <= RECURRENT)


Pack = Callable[[Weight], Packed | RowsScaled | Joined | None]


def pack_file(source: Path, target: Path, left_alone: Collection[str], pack: Pack) -> None:
    """`pack_weights` from one file into another. Weights are read one by one: together they may be large, and what is
    left of them is small."""
    model = load_graph(source)
    pack_weights(model, left_alone, pack, source.parent)
    load_weights(model, source)
    onnx.save(model, target)


def pack_weights(model: onnx.ModelProto, left_alone: Collection[str], pack: Pack, folder: Path = Path()) -> int:
    """Rewrites the model in place, and answers how many of its tensors were packed.

    `left_alone` are names of layers, and "" what belongs to none. A tensor that one of them reads stays as it is.
    `folder` is where the weights lie that the model doesn't hold itself.
    """
    readers = _readers(model)
    kernels = KernelWriter(model, shapes_in(model))
    count = 0
    for stored in list(model.graph.initializer):
        if stored.data_type != TensorProto.FLOAT or np.prod(stored.dims) < FEWEST_VALUES:
            continue
        weight = _weight(stored, readers[stored.name], folder)
        packed = None if weight.layers & set(left_alone) else pack(weight)
        if packed is None:
            continue
        model.graph.initializer.remove(stored)
        if not _write_kernels(kernels, readers[weight.name], weight, packed):
            _write_unpacking(model.graph, weight, packed)
        count += 1
    import_functions(model)
    return count


def _readers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers


def _weight(stored: onnx.TensorProto, readers: list[onnx.NodeProto], folder: Path) -> Weight:
    values = torch.from_numpy(numpy_helper.to_array(stored, str(folder)).copy())
    turned = values.ndim == 2 and any(_reads_columns(node, stored.name) for node in readers)
    layers = frozenset(layer_of(node) for node in readers)
    operators = frozenset(node.op_type for node in readers)
    return Weight(stored.name, values.T.contiguous() if turned else values, turned, layers, operators)


def _reads_columns(node: onnx.NodeProto, name: str) -> bool:
    """Whether the outputs of the product are the columns."""
    if list(node.input).index(name) != 1:
        return False
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not turned)


def _write_kernels(
    kernels: KernelWriter, readers: list[onnx.NodeProto], weight: Weight, packed: Packed | RowsScaled | Joined
) -> bool:
    """Whether there are some for it."""
    codes, factors = (packed.packed, packed.factors) if isinstance(packed, RowsScaled) else (packed, None)
    blocks = in_blocks(codes) if isinstance(codes, Grouped) else None
    if blocks is None or not kernels.can_write(readers, weight.name, blocks):
        return False
    kernels.write(readers, weight.name, blocks, factors)
    return True


def _write_unpacking(graph: onnx.GraphProto, weight: Weight, packed: Packed | RowsScaled | Joined) -> None:
    writer = Writer(weight.name)
    if isinstance(packed, RowsScaled):
        value = writer.node("Mul", _write_packed(writer, packed.packed), writer.store("factors", packed.factors))
    elif isinstance(packed, Joined):
        value = writer.node("Concat", *(_write_part(writer, part) for part in packed.parts), axis=0)
    else:
        value = _write_packed(writer, packed)
    if weight.transposed:
        value = writer.node("Transpose", value, perm=[1, 0])
    writer.nodes[-1].output[0] = weight.name
    graph.initializer.extend(writer.stored)
    for position, node in enumerate(writer.nodes):
        graph.node.insert(position, node)


def _write_part(writer: Writer, part: Packed | Multiplied) -> str:
    """Of a product, block by block."""
    if not isinstance(part, Multiplied):
        return _write_packed(writer, part)
    rows = _write_packed(writer, part.packed)
    products, start, last = list[str](), 0, writer.store("last", torch.tensor([-1]))
    for block in part.blocks:
        ends = [
            writer.store(what, torch.tensor([at])) for what, at in (("from", start), ("to", start + len(block.codes)))
        ]
        products.append(writer.node("MatMul", writer.node("Slice", rows, *ends, last), _write_packed(writer, block)))
        start += len(block.codes)
    return writer.node("Concat", *products, axis=-1)


def _write_packed(writer: Writer, packed: Packed) -> str:
    codes = writer.store("codes", packed.stored())
    if is_in_bits(packed):
        codes = writer.call("Bits", codes, shape=packed.codes.shape)
    if isinstance(packed, Cast):
        return writer.cast(codes)
    if isinstance(packed, Codebook | Float8):
        codes = writer.call("Levels", codes, writer.store("levels", packed.levels))
    return codes if isinstance(packed, Codebook) else _write_scaled(writer, codes, packed)


def _write_scaled(writer: Writer, codes: str, packed: Grouped | Float8) -> str:
    scale = writer.store("scale", packed.scale.unsqueeze(1))
    if isinstance(packed, Float8) or packed.zero_point is None:
        return writer.call("Scaled", codes, scale)
    return writer.call("ScaledFrom", codes, scale, writer.store("zero_point", packed.zero_point.unsqueeze(1)))
