"""Dynamic int8, by ONNX Runtime's quantizer and by torch's: weights are stored in int8, activations are quantized
during each call."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import fx

from app.core.recipes import DynamicQuantization
from worker.exporting.onnx import layer_named, layer_of
from worker.network import Network
from worker.quantization.dynamic_layers import dynamic_layer_table
from worker.quantization.layer_table import RoundedWeights
from worker.quantization.stored_in_int8 import RECURRENT, STORED, store_in_int8
from worker.run import Run
from worker.techniques import apply
from worker.techniques.onnx_int8 import (
    check_holds_int8,
    has_weights,
    needs_reduced_range,
    unselected_nodes,
    with_own_weights,
)
from worker.techniques.torchscript_int8 import dynamic_in_torch, with_unpacked

# Convolutions are left out: ConvInteger is slower than float and loses accuracy.
WEIGHTED = frozenset({"Gemm", "MatMul", "LSTM"})


@apply.register
def dynamic_quantization(step: DynamicQuantization, network: Network, run: Run) -> Network:
    """Files are quantized when they are written. Of the network only plain recurrent layers change: an archive has no
    other place for their weights than where they were."""

    unpacked: dict[str, RoundedWeights] = {}

    def quantize(source: Path, target: Path) -> None:
        run.progress(0.5, "Storing weights in int8")
        _quantize(step, source, target, unpacked, run)

    def quantize_in_torch(module: fx.GraphModule) -> fx.GraphModule:
        return dynamic_in_torch(step, module, unpacked, run)

    quantized = with_unpacked(step, network, unpacked).changed_after_export("onnx", quantize)
    return quantized.changed_before_tracing(quantize_in_torch)


def _quantize(
    step: DynamicQuantization, source: Path, target: Path, unpacked: Mapping[str, RoundedWeights], run: Run
) -> None:
    """`unpacked` are layers whose weights the source has as they were rounded already."""
    model = with_own_weights(onnx.load(source), WEIGHTED)
    excluded = unselected_nodes(step, model, WEIGHTED | STORED)
    # Copies: where weights are only stored in int8, nodes are replaced.
    nodes = [deepcopy(n) for n in model.graph.node if n.op_type in WEIGHTED | STORED and has_weights(n, model)]
    _warn_of_recurrent_layers(run, [node for node in nodes if node.name not in excluded])
    left_alone = {layer_named(name) for name in excluded}
    stored = store_in_int8(model, left_alone, per_channel=step.per_channel)
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=sorted(WEIGHTED),
        # The quantizer turns a Gemm into a MatMul of this name first.
        nodes_to_exclude=[*excluded, *(f"{name}_MatMul" for name in excluded)],
        per_channel=step.per_channel,
        reduce_range=needs_reduced_range(),
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    check_holds_int8(target, step)
    for row in dynamic_layer_table(nodes, model, onnx.load(target), {**stored, **unpacked}):
        run.detail("Layers", **row)


def _warn_of_recurrent_layers(run: Run, chosen: Sequence[onnx.NodeProto]) -> None:
    recurrent = dict.fromkeys(layer_of(node) for node in chosen if node.op_type in RECURRENT)
    if recurrent:
        run.warn(
            f"ONNX Runtime computes in int8 with LSTMs, but with no other recurrent layers: {', '.join(recurrent)} "
            "is stored in int8 and computed with in float32."
        )
