"""Convolutions in int8 that are computed as products of matrices, where the CPU is quicker at those.

ONNX Runtime has kernels of its own for convolutions whose weights have the zero point 0. They know nothing of the tiles
(AMX) that some CPUs multiply matrices by; its products of matrices do. Weights and zero point lowered by one are the
same numbers, and no longer go to those kernels: so is chosen, layer by layer, which of both computes it. The integers'
sums are the same, and the answers to the bit.
"""

from collections.abc import Sequence
from functools import cache
from time import perf_counter

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, parser

from worker.quantization.activations import session_of
from worker.quantization.weighted_nodes import integer, only_once_used, producers_in

# Products for each answer, and answers at each position: with fewer of either, tiles stay half empty.
FEWEST_PRODUCTS, FEWEST_CHANNELS = 256, 64
_SIZE, _PRODUCTS, _CHANNELS = 14, 576, 160
_CALLS, _WORTH_IT = 15, 1.25


def write_matrix_products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Changes the weights of large convolutions of one group; answers which these are."""
    stored, producers = only_once_used(model), producers_in(model.graph)
    changed: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Conv" or integer(node, "group", 1) != 1 or node.input[1] not in producers:
            continue
        tensors = [stored.get(name) for name in producers[node.input[1]].input]
        if len(tensors) == 3 and tensors[0] is not None and tensors[2] is not None and _is_large(tensors[0]):
            changed += [node] if _lower(tensors[0], tensors[2]) else []
    return changed


@cache
def are_matrix_products_faster() -> bool:
    """Here and now: one convolution of a common size is timed both ways, in some milliseconds."""
    x = np.arange(_SIZE * _SIZE * _PRODUCTS, dtype=np.uint8).reshape(1, _SIZE, _SIZE, _PRODUCTS)
    sessions = [session_of(_convolution(zero_point), threads=1) for zero_point in (0, -1)]
    seconds: Sequence[list[float]] = ([], [])
    for _ in range(_CALLS):
        for session, measured in zip(sessions, seconds, strict=True):
            start = perf_counter()
            session.run(None, {"x": x})
            measured.append(perf_counter() - start)
    by_convolution, by_product = map(min, seconds)
    return by_convolution > _WORTH_IT * by_product


def _is_large(weight: TensorProto) -> bool:
    channels, *others = weight.dims
    is_int8 = weight.data_type == TensorProto.INT8
    return is_int8 and channels >= FEWEST_CHANNELS and int(np.prod(others)) >= FEWEST_PRODUCTS


def _lower(weight: TensorProto, zero_point: TensorProto) -> bool:
    """Symmetric weights are at least -127, so that there is room. Another layer that reads them may have had them
    lowered."""
    zero = numpy_helper.to_array(zero_point)
    if not zero.any() and numpy_helper.to_array(weight).min() > -128:
        for tensor in (weight, zero_point):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) - np.int8(1), tensor.name))
        return True
    return bool((zero == -1).all())


def _convolution(zero_point: int) -> bytes:
    model: onnx.ModelProto = parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 18, "com.microsoft" : 1]>
        convolution (uint8[1, {_SIZE}, {_SIZE}, {_PRODUCTS}] x) => (uint8[1, {_SIZE}, {_SIZE}, {_CHANNELS}] y)
            <float scale = {{0.01}}, uint8 zero = {{0}}, int8 zero_of_weights = {{{zero_point}}}>
        {{ y = com.microsoft.QLinearConv <channels_last = 1>
            (x, scale, zero, weights, scale, zero_of_weights, scale, zero) }}
    """)
    weights = np.zeros((_CHANNELS, _PRODUCTS, 1, 1), np.int8)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    serialized: bytes = model.SerializeToString()
    return serialized
