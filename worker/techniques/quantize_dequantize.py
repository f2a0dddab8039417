"""Tidies a file of QuantizeLinear and DequantizeLinear pairs, as ONNX Runtime's static quantizer writes it."""

from collections.abc import Collection

import onnx

# Kernels that take int8 and answer in float. A convolution has none: without the pair behind it, it runs in float.
_ANSWER_IN_FLOAT = frozenset({"Gemm", "MatMul"})
_PAIR = frozenset({"QuantizeLinear", "DequantizeLinear"})


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Answers aren't rounded to 8 bits where the last kernel can give them in float; names that nothing refers to
    are dropped."""
    for output in model.graph.output:
        _unround(model.graph, output.name)
    for node in model.graph.node:
        if node.op_type in _PAIR:
            node.name = ""
    _drop_unused_weights(model.graph)
    return model


def _unround(graph: onnx.GraphProto, output: str) -> None:
    """layer -> QuantizeLinear -> DequantizeLinear -> output becomes layer -> output."""
    producers = {name: node for node in graph.node for name in node.output}
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


def _producer(producers: dict[str, onnx.NodeProto], name: str, kinds: Collection[str]) -> onnx.NodeProto | None:
    node = producers.get(name)
    return node if node is not None and node.op_type in kinds else None


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for weight in [weight for weight in graph.initializer if weight.name not in used]:
        graph.initializer.remove(weight)
