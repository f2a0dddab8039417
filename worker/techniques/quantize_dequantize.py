"""Tidies a file of QuantizeLinear and DequantizeLinear pairs, as ONNX Runtime's static quantizer writes it."""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from worker.quantization.weighted_nodes import integer, producers_in

# Kernels that take int8 and answer in float. A convolution has none: without the pair behind it, it runs in float.
_ANSWER_IN_FLOAT = frozenset({"Gemm", "MatMul"})
_PAIR = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Behind a pair with one scale ONNX Runtime rounds the float weights of these to int8, with one scale for all of them
# (its WeightBiasQuantization), though they were left in float on purpose.
_ROUNDED_UNASKED = frozenset({"Conv", "ConvTranspose", "Gemm"})


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Answers aren't rounded to 8 bits where the last kernel can give them in float; layers in float stay so in ONNX
    Runtime; names that nothing refers to are dropped."""
    for output in model.graph.output:
        _unround(model.graph, output.name)
    _keep_in_float(model.graph)
    for node in model.graph.node:
        if node.op_type in _PAIR:
            node.name = ""
    _drop_unused_weights(model.graph)
    return model


def _unround(graph: onnx.GraphProto, output: str) -> None:
    """layer -> QuantizeLinear -> DequantizeLinear -> output becomes layer -> output."""
    producers = producers_in(graph)
    dequantize = _producer(producers, output, {"DequantizeLinear"})
    quantize = dequantize and _producer(producers, dequantize.input[0], {"QuantizeLinear"})
    layer = quantize and _producer(producers, quantize.input[0], _ANSWER_IN_FLOAT)
    if not (layer and quantize and dequantize):
        return
    between = {layer.output[0], quantize.output[0]}
    if not any(between & set(node.input) for node in graph.node if node not in (quantize, dequantize)):
        layer.output[0] = output
        graph.node.remove(quantize)
        graph.node.remove(dequantize)


def _keep_in_float(graph: onnx.GraphProto) -> None:
    """What they read is dequantized with a scale for each channel, all the same."""
    stored = {weight.name: weight for weight in graph.initializer}
    producers = producers_in(graph)
    for node in [node for node in graph.node if node.op_type in _ROUNDED_UNASKED]:
        weight, before = stored.get(node.input[1]), _producer(producers, node.input[0], {"DequantizeLinear"})
        if before is None or weight is None or weight.data_type != TensorProto.FLOAT:
            continue
        channels = _channels(node, weight)
        if stored[before.input[1]].dims or channels == 1:
            continue
        by_channel = _by_channel(graph, before, node, [stored[name] for name in before.input[1:]], channels)
        graph.node.insert(list(graph.node).index(before), by_channel)
        node.input[0] = by_channel.output[0]
        if not any(before.output[0] in other.input for other in graph.node):
            graph.node.remove(before)


def _channels(node: NodeProto, weight: TensorProto) -> int:
    """That the node reads, on axis 1."""
    if node.op_type == "Conv":
        return int(weight.dims[1]) * integer(node, "group", 1)
    is_transposed = node.op_type == "Gemm" and integer(node, "transB", 0)
    return int(weight.dims[1] if is_transposed else weight.dims[0])


def _by_channel(
    graph: onnx.GraphProto, pair: NodeProto, reader: NodeProto, grid: list[TensorProto], channels: int
) -> NodeProto:
    names = [f"{reader.name}.{name}" for name in ("scale", "zero_point")[: len(grid)]]
    for name, tensor in zip(names, grid, strict=True):
        graph.initializer.append(numpy_helper.from_array(np.full(channels, numpy_helper.to_array(tensor)), name))
    return helper.make_node("DequantizeLinear", [pair.input[0], *names], [f"{reader.name}.input"], axis=1)


def _producer(producers: Mapping[str, NodeProto], name: str, kinds: Collection[str]) -> NodeProto | None:
    node = producers.get(name)
    return node if node is not None and node.op_type in kinds else None


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for weight in [weight for weight in graph.initializer if weight.name not in used]:
        graph.initializer.remove(weight)
