"""Static int8 by ONNX Runtime: Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from app.core.recipes import StaticQuantization
from worker.data import Examples
from worker.inputs import as_inputs
from worker.network import Network
from worker.run import Run
from worker.techniques import apply
from worker.techniques.onnx_int8 import check_holds_int8, needs_reduced_range, unselected_nodes
from worker.techniques.quantize_dequantize import tidied

BATCH_SIZE = 16
# They have no int8 kernels: quantizing around them would only cost accuracy.
KEPT_IN_FLOAT = frozenset({"BatchNormalization", "InstanceNormalization", "LayerNormalization"})
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
RECURRENT_STAY_FLOAT = (
    "ONNX Runtime has no static int8 kernels for recurrent layers: they stay in float32. A dynamic_quantization step "
    "stores LSTM weights in int8."
)


@apply.register
def static_quantization(step: StaticQuantization, network: Network, run: Run) -> Network:
    """The network stays as it is: its ONNX file is quantized when it is written."""
    assert run.data is not None, "a recipe with calibration is refused without data"
    examples, positions = run.data.train, run.data.train.chosen(step.examples, run.seed)

    if any(isinstance(layer, nn.RNNBase) for layer in network.module.modules()):
        run.warn(RECURRENT_STAY_FLOAT)

    def quantize(source: Path, target: Path) -> None:
        run.progress(0.5, f"Finding ranges on {len(positions)} examples")
        _quantize(step, source, target, Calibration(network, examples, positions))

    return network.changed_after_export("onnx", quantize)


class Calibration(CalibrationDataReader):
    """Examples in batches of one size, so that memory is bounded: the last batch is filled up from the start, which
    moves no minimum and no maximum."""

    def __init__(self, network: Network, examples: Examples, positions: np.ndarray) -> None:
        size = min(BATCH_SIZE, len(positions))
        batches = np.resize(positions, (-(-len(positions) // size), size))
        self._feeds = self._read(network, examples, batches)

    def _read(self, network: Network, examples: Examples, batches: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        for batch in batches:
            arrays, _ = examples.take(batch)
            tensors = as_inputs(network.inputs, arrays)
            yield {spec.name: tensor.numpy() for spec, tensor in zip(network.inputs, tensors, strict=True)}

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]  # None ends it, says its docstring
        return next(self._feeds, None)


def _quantize(step: StaticQuantization, source: Path, target: Path, calibration: Calibration) -> None:
    prepared = source.with_suffix(".prepared.onnx")
    # The exporter has folded batch norms already; only shapes are missing.
    quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        calibration,
        quant_format=QuantFormat.QDQ,
        per_channel=step.per_channel,
        reduce_range=needs_reduced_range(),
        activation_type=QuantType.QUInt8 if step.scheme == "u8s8" else QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=nodes_in_float(step, onnx.load(prepared)),
        calibrate_method=CalibrationMethod.MinMax,
    )
    prepared.unlink()
    onnx.save(tidied(onnx.load(target)), target)
    check_holds_int8(target, step)


def nodes_in_float(step: StaticQuantization, model: onnx.ModelProto) -> list[str]:
    kept = [str(node.name) for node in model.graph.node if node.op_type in KEPT_IN_FLOAT]
    return unselected_nodes(step, model, WEIGHTED) + kept
