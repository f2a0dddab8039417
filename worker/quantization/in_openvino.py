"""Static int8 in a file of OpenVINO (IR), by NNCF: it knows where OpenVINO's kernels want their inputs rounded."""

from pathlib import Path
from typing import Any

from app.core.recipes import StaticQuantization
from worker.exporting.openvino import read, write
from worker.exporting.openvino_layers import layers_of_operation, operations_of
from worker.layer_selection import matching, selected
from worker.openvino_extra import nncf, unheard
from worker.packing.in_openvino import check_holds_integers
from worker.quantization.calibration_data import CalibrationData
from worker.quantization.layers_in_openvino import RECURRENT, openvino_layer_table
from worker.run import Run

WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})
# NNCF's names of what `calibration` calls otherwise; it has no entropy.
_RANGES = {"min_max": "MINMAX", "moving_average": "MEAN_MINMAX", "percentile": "MEAN_QUANTILE", "mse": "HISTOGRAM"}
_SMOOTHING, _NO_SMOOTHING = 0.95, -1.0


def quantize_statically(source: Path, target: Path, step: StaticQuantization, data: CalibrationData, run: Run) -> None:
    library, model = nncf(), read(source)
    with unheard():
        quantized = library.quantize(
            model,
            library.Dataset(data),
            subset_size=data.batches,
            model_type=library.ModelType.TRANSFORMER if _has_attention(model) else None,
            ignored_scope=library.IgnoredScope(names=_left_alone(step, model), types=list(RECURRENT), validate=False),
            advanced_parameters=_parameters(step, data),
        )
    check_holds_integers(quantized, step)
    for row in openvino_layer_table(read(source), quantized):
        run.detail("Layers", **row)
    write(quantized, target)


def _parameters(step: StaticQuantization, data: CalibrationData) -> Any:
    library = nncf()
    ranges = library.quantization.range_estimator.RangeEstimatorParametersSet
    of_weights = library.quantization.advanced_parameters.QuantizationParameters(per_channel=step.per_channel)
    return library.AdvancedQuantizationParameters(
        disable_bias_correction=not step.bias_correction,
        batchwise_statistics=data.batch_size > 1,
        weights_quantization_params=of_weights,
        activations_range_estimator_params=getattr(ranges, _RANGES[step.calibration]),
        smooth_quant_alphas=library.AdvancedSmoothQuantParameters(
            matmul=_SMOOTHING if step.smooth else _NO_SMOOTHING, convolution=_NO_SMOOTHING
        ),
    )


def _has_attention(model: Any) -> bool:
    """NNCF then leaves the scores of the heads in float32, and rounds activations on both sides of zero."""
    return any(
        each.get_type_name() in ("Softmax", "ScaledDotProductAttention") and _is_inside(each)
        for each in model.get_ops()
    )


def _is_inside(operation: Any) -> bool:
    """Its answers are multiplied, not given away: the softmax behind a classifier is none of an attention."""
    readers = (reader.get_node() for output in operation.outputs() for reader in output.get_target_inputs())
    return any(reader.get_type_name() != "Result" for reader in readers)


def _left_alone(step: StaticQuantization, model: Any) -> list[str]:
    operations = model.get_ordered_ops()
    layers = dict.fromkeys(
        layer for each in operations if each.get_type_name() in WEIGHTED for layer in sorted(layers_of_operation(each))
    )
    assert isinstance(step.keep_float, tuple), "refused: only ONNX files are searched for such layers"
    chosen = {*selected(step, layers)} - matching(step, step.keep_float, layers)
    others = {layer for each in operations for layer in layers_of_operation(each)} if step.only else {*layers}
    return operations_of(model, others - chosen)
