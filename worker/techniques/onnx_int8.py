"""What both int8 techniques share: choosing ONNX nodes by layer names, and proving that a file holds int8 weights."""

from collections.abc import Collection
from pathlib import Path

import onnx
import torch

from app.core.errors import Problem
from app.core.recipes import Step
from worker.exporting.onnx import layer_of
from worker.layer_selection import selected

_INT8 = frozenset({onnx.TensorProto.INT8, onnx.TensorProto.UINT8})


def unselected_nodes(step: Step, model: onnx.ModelProto, operators: Collection[str]) -> list[str]:
    """Names of the nodes that the step must leave in float. The node of a layer bears the layer's name.

    `only` leaves out every node that isn't of a chosen layer, `exclude` just those of the excluded layers.
    """
    weighted = [node for node in model.graph.node if node.op_type in operators and has_weights(node, model)]
    chosen = set(selected(step, dict.fromkeys(layer_of(node) for node in weighted)))
    candidates = model.graph.node if step.only else weighted
    return [str(node.name) for node in candidates if layer_of(node) not in chosen]


def nodes_reading_inputs(model: onnx.ModelProto, operators: Collection[str]) -> list[str]:
    """Names of the first nodes with weights on each way from an input."""
    reached, first = {each.name for each in model.graph.input}, list[str]()
    for node in model.graph.node:
        if not reached & set(node.input):
            continue
        if node.op_type in operators and has_weights(node, model):
            first.append(str(node.name))
        else:
            reached |= set(node.output)
    return first


def with_own_weights(model: onnx.ModelProto, operators: Collection[str]) -> onnx.ModelProto:
    """Copies what several nodes share (a layer called twice): the dynamic quantizer rewrites a node's weights in place,
    as often as there are nodes that use them."""
    stored = {weight.name: weight for weight in model.graph.initializer}
    seen: set[str] = set()
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if node.op_type in operators and name in seen:
                copy = model.graph.initializer.add()
                copy.CopyFrom(stored[name])
                copy.name = node.input[position] = f"{name}.of.{node.name}"
            elif name in stored:
                seen.add(name)
    return model


def has_weights(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether an input other than the first is stored in the file (for a MatMul of two activations it isn't); of a
    lookup the first, in float (shapes are looked up, too)."""
    if node.op_type == "Gather":
        return any(w.name == node.input[0] and w.data_type == onnx.TensorProto.FLOAT for w in model.graph.initializer)
    stored = {weight.name for weight in model.graph.initializer}
    return any(name in stored for name in node.input[1:])


def needs_reduced_range() -> bool:
    """Without VNNI, x86 adds pairs of u8 x s8 products in 16 bits, which 8-bit weights overflow."""
    cpu = torch.cpu.get_capabilities()
    return cpu.get("architecture") == "x86_64" and not any(
        cpu.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8")
    )


def check_holds_int8(path: Path, step: Step) -> None:
    """Scalars and vectors don't count: zero points are int8 too."""
    model = onnx.load(path)
    if not any(w.data_type in _INT8 and len(w.dims) >= 2 for w in model.graph.initializer):
        raise Problem(
            f"After {step.technique} the file holds no int8 weights: the runtime has no int8 kernel for any layer that "
            "the step may touch. Leave the step out, or widen `only` and `exclude`.",
            code="nothing_quantized",
            title="Nothing was quantized",
        )
