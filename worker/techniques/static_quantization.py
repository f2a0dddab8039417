"""Static int8, by ONNX Runtime's quantizer and by torch's: Jacob et al., Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference, 2018."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import save_tensors_data
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import fx, nn

from app.core.recipes import QuantizationAwareTraining, StaticQuantization
from worker.exporting import not_writable
from worker.exporting.float_onnx import float_onnx
from worker.exporting.onnx import layer_named, layer_of
from worker.layer_selection import matching
from worker.network import Network
from worker.quantization.adaptive_rounding import round_adaptively
from worker.quantization.adjusted_layers import AdjustedLayers, adjusted_layers
from worker.quantization.bias_correction import correct_biases
from worker.quantization.calibration_data import CalibrationData
from worker.quantization.columns_as_channels import with_columns_as_channels
from worker.quantization.depthwise_equalization import even_out_depthwise
from worker.quantization.equalization import equalize
from worker.quantization.in_openvino import quantize_statically
from worker.quantization.kept_in_float import kept_in_float
from worker.quantization.layer_table import decibels, layer_table
from worker.quantization.made_up_examples import made_up_examples
from worker.quantization.matrix_products import are_matrix_products_faster, write_matrix_products
from worker.quantization.ranges import Ranges, find_ranges
from worker.quantization.rounding import Rounding
from worker.quantization.sensitivity import answers, errors_of_layers, relative_error
from worker.quantization.smoothing import smooth
from worker.quantization.weighted_nodes import weighted_nodes
from worker.run import Run
from worker.techniques import apply
from worker.techniques.onnx_int8 import (
    check_holds_int8,
    has_weights,
    needs_reduced_range,
    nodes_reading_inputs,
    unselected_nodes,
    with_own_weights,
)
from worker.techniques.quantize_dequantize import tidied
from worker.techniques.torchscript_int8 import static_in_torch

# They have no int8 kernels: quantizing around them would only cost accuracy.
KEPT_IN_FLOAT = frozenset({"BatchNormalization", "InstanceNormalization", "LayerNormalization"})
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# With embeddings, whose rows are stored in int8 and computed with in float32.
STORED = WEIGHTED | {"Gather"}
JUDGED_EXAMPLES = 32
RECURRENT_STAY_FLOAT = (
    "There are no static int8 kernels for recurrent layers: they stay in float32. A dynamic_quantization step "
    "stores LSTM weights in int8."
)
NOTHING_TO_EQUALIZE = (
    "`equalize` found no two layers to balance: it needs a layer that only one other reads, with nothing or a ReLU "
    "between them."
)
NO_DEPTHWISE_TO_EQUALIZE = (
    "`equalize` found nothing to balance: where weights have a scale for each channel, it evens out what a depthwise "
    "convolution reads of a convolution alone, through a ReLU at most."
)
NOTHING_TO_SMOOTH = "`smooth` found no layer norm whose answers go to linear layers alone, so nothing was smoothed."


@apply.register
def static_quantization(step: StaticQuantization, network: Network, run: Run) -> Network:
    """The network stays as it is: its files are quantized when they are written."""
    examples = run.data.train if run.data is not None else made_up_examples(step, network, run)
    data = CalibrationData(network, examples, examples.chosen(step.examples, run.seed))
    warn_of_recurrent_layers(network, run)

    def quantize(source: Path, target: Path) -> None:
        StaticQuantizer(step, run, data, source, target).quantize()
        check_holds_int8(target, step)

    def quantize_for_openvino(source: Path, target: Path) -> None:
        run.progress(0.5, "Quantizing for OpenVINO")
        quantize_statically(source, target, step, data, run)

    quantized = network.changed_after_export("onnx", quantize).changed_after_export("openvino", quantize_for_openvino)
    return quantized.changed_before_tracing(InTorch(step, network, run, data).quantized)


def warn_of_recurrent_layers(network: Network, run: Run) -> None:
    if any(isinstance(layer, nn.RNNBase) for layer in network.module.modules()):
        run.warn(RECURRENT_STAY_FLOAT)


@dataclass(frozen=True)
class Plan:
    """`model` has the weights that are to be rounded, `in_float` names its nodes that are left as they are."""

    model: onnx.ModelProto
    ranges: Ranges
    in_float: list[str]


@dataclass(frozen=True)
class StaticQuantizer:
    """Makes an int8 file of one in float32. `known` are ranges that were found before, for the same tensors."""

    step: StaticQuantization
    run: Run
    data: CalibrationData
    source: Path
    target: Path
    known: Ranges | None = None

    def quantize(self) -> Ranges:
        plan = self.plan()
        for layer in self._write(plan.ranges, plan.in_float):
            self.run.detail("Written for this CPU", layer=layer, computed_as="product of matrices")
        self._prepared.unlink()
        return plan.ranges

    def plan(self) -> Plan:
        quant_pre_process(self.source, self._prepared, skip_optimization=True, skip_symbolic_shape=True)
        model = with_own_weights(onnx.load(self._prepared), WEIGHTED)
        self._even_out(model)
        onnx.save(model, self._prepared)
        ranges = self.known or self._find_ranges()
        adjusted = self._adjusted(model)
        in_float = self._in_float(model, adjusted, ranges)
        adjusted.exchange(adjusted.all_but(in_float))
        self._save(model, adjusted)
        for row in layer_table(model, ranges, self.rounding, in_float):
            self.run.detail("Layers", **row)
        return Plan(model, ranges, in_float)

    def _save(self, model: onnx.ModelProto, adjusted: AdjustedLayers) -> None:
        """As it is now. Without any adjusted layers the file has been like that since ranges were found."""
        if adjusted.tensors:
            onnx.save(model, self._prepared)

    def _find_ranges(self) -> Ranges:
        self.run.progress(0.5, "Finding ranges on the calibration examples")
        return find_ranges(self._prepared, self.data, self.step.calibration)

    @property
    def _prepared(self) -> Path:
        # The exporter has folded batch norms already; only shapes are missing.
        return self.target.with_suffix(".prepared.onnx")

    @property
    def rounding(self) -> Rounding:
        return Rounding(self.step.per_channel, 64 if needs_reduced_range() else 127)

    def _even_out(self, model: onnx.ModelProto) -> None:
        """What leaves the answers as they are, before ranges are found."""
        if self.step.equalize and not self._equalize(model):
            self.run.warn(NO_DEPTHWISE_TO_EQUALIZE if self.step.per_channel else NOTHING_TO_EQUALIZE)
        if self.step.smooth and not smooth(model, self.data):
            self.run.warn(NOTHING_TO_SMOOTH)

    def _equalize(self, model: onnx.ModelProto) -> int:
        return even_out_depthwise(model, self.data) if self.step.per_channel else equalize(model)

    def _adjusted(self, model: onnx.ModelProto) -> AdjustedLayers:
        """What makes up for the rounding of a layer's weights, and is right for layers alone that are rounded."""
        if self.step.rounding == "adaround":
            self.run.progress(0.55, "Choosing for each weight whether it is rounded up or down")
            return adjusted_layers(
                model, lambda node: node.weights, lambda its: round_adaptively(its, self.data, self.rounding)
            )
        if self.step.bias_correction:
            return adjusted_layers(
                model, lambda node: node.bias, lambda its: correct_biases(its, self.data, self.rounding)
            )
        return AdjustedLayers()

    def _in_float(self, model: onnx.ModelProto, adjusted: AdjustedLayers, ranges: Ranges) -> list[str]:
        named = nodes_in_float(self.step, model) + ranges.nodes_in_float(model)
        if self.step.keep_float == "auto":
            return named + self._sensitive(model, adjusted, ranges, named)
        if self.step.keep_float == "first":
            return named + nodes_reading_inputs(model, WEIGHTED)
        return named + _of_layers(model, self.step.keep_float, self.step)

    def _sensitive(
        self, model: onnx.ModelProto, adjusted: AdjustedLayers, ranges: Ranges, named: Sequence[str]
    ) -> list[str]:
        self.run.progress(0.7, "Finding the layers that 8 bits hurt most")
        feeds = list(islice(self.data, -(-JUDGED_EXAMPLES // self.data.batch_size)))
        exact = answers(model, feeds)
        sizes = {str(node.node.name): node.weight.size for node in weighted_nodes(model)}
        errors = errors_of_layers(model, adjusted, ranges, feeds, self.rounding)

        def error_with(kept: Sequence[str]) -> float:
            with adjusted.put_in(adjusted.all_but([*named, *kept])):
                self._save(model, adjusted)
            self._write(ranges, [*named, *kept])
            return relative_error(exact, answers(onnx.load(self.target), feeds))

        candidates = {name: error for name, error in errors.items() if name not in named}
        kept = kept_in_float(candidates, sizes, error_with)
        for name, error in sorted(candidates.items(), key=lambda item: -item[1]):
            self.run.detail("Sensitivity", layer=layer_named(name), sqnr_db=decibels(error), kept_in_float=name in kept)
        return kept

    def _write(self, ranges: Ranges, in_float: Sequence[str]) -> list[str]:
        """Answers which layers are products of matrices in the file."""
        known = self.target.with_suffix(".ranges.json")
        save_tensors_data(ranges.found, known)
        quantize_static(
            self._prepared,
            self.target,
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=self.step.per_channel,
            reduce_range=needs_reduced_range(),
            activation_type=QuantType.QUInt8 if self.step.scheme == "u8s8" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(in_float),
            calibrate_method=ranges.found.calibration_method,
            calibration_cache_path=known,
        )
        known.unlink()
        model = tidied(with_columns_as_channels(onnx.load(self.target)))
        by_products = self.step.scheme == "u8s8" and are_matrix_products_faster()
        products = write_matrix_products(model) if by_products else []
        onnx.save(model, self.target)
        return [layer_of(node) for node in products]


@dataclass(frozen=True)
class InTorch:
    """The same layers with the same weights in int8, in a network of torch. `known` are ranges of its ONNX file."""

    step: StaticQuantization
    network: Network
    run: Run
    data: CalibrationData
    known: Ranges | None = None

    def quantized(self, module: fx.GraphModule) -> fx.GraphModule:
        with TemporaryDirectory() as folder, calibrated_by_onnx(self.step):
            target = Path(folder, "quantized.onnx")
            quantizer = StaticQuantizer(self.step, self.run, self.data, float_onnx(self.network), target, self.known)
            plan = quantizer.plan()
        in_float = {layer_of(n) for n in plan.model.graph.node if n.op_type in STORED and n.name in plan.in_float}
        return static_in_torch(self.step, module, self.data, plan.model, in_float, quantizer.rounding.largest, self.run)


def calibrated_by_onnx(step: StaticQuantization | QuantizationAwareTraining) -> AbstractContextManager[None]:
    """What ONNX or its runtime lacks keeps this int8 out of the other formats, which may well have it."""
    return not_writable(
        f"{step.technique} is calibrated by the network's ONNX file, which can't be written and run",
        "For torchscript, take dynamic_quantization or weight_quantization.",
    )


def nodes_in_float(step: StaticQuantization, model: onnx.ModelProto) -> list[str]:
    kept = [str(node.name) for node in model.graph.node if node.op_type in KEPT_IN_FLOAT]
    return unselected_nodes(step, model, STORED) + kept


def _of_layers(model: onnx.ModelProto, patterns: Sequence[str], step: StaticQuantization) -> list[str]:
    nodes = [node for node in model.graph.node if node.op_type in STORED and has_weights(node, model)]
    chosen = matching(step, patterns, dict.fromkeys(layer_of(node) for node in nodes))
    return [str(node.name) for node in nodes if layer_of(node) in chosen]
