"""Dynamic int8 by ONNX Runtime: weights are stored in int8, activations are quantized during each call."""

from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from app.core.recipes import DynamicQuantization
from worker.network import Network
from worker.run import Run
from worker.techniques import apply
from worker.techniques.onnx_int8 import check_holds_int8, needs_reduced_range, unselected_nodes, with_own_weights

# Convolutions are left out: ConvInteger is slower than float and loses accuracy.
WEIGHTED = frozenset({"Gemm", "MatMul", "LSTM"})


@apply.register
def dynamic_quantization(step: DynamicQuantization, network: Network, run: Run) -> Network:
    """The network stays as it is: its ONNX file is quantized when it is written."""

    def quantize(source: Path, target: Path) -> None:
        run.progress(0.5, "Storing weights in int8")
        _quantize(step, source, target)

    return network.changed_after_export("onnx", quantize)


def _quantize(step: DynamicQuantization, source: Path, target: Path) -> None:
    model = with_own_weights(onnx.load(source), WEIGHTED)
    excluded = unselected_nodes(step, model, WEIGHTED)
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
