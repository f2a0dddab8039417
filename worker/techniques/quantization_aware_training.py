"""Training with int8 rounding in the network, then static int8 with the ranges that it was trained with: Jacob et al.,
Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018."""

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from torch import nn

from app.core.recipes import QuantizationAwareTraining, StaticQuantization
from worker.details import Details
from worker.exporting.float_onnx import float_onnx
from worker.layer_selection import selected
from worker.network import Network, layers_of
from worker.quantization.batch_norm_folding import fold_batch_norms
from worker.quantization.calibration_data import CalibrationData
from worker.quantization.fake_quantization import LearnedActivation
from worker.quantization.ranges import Ranges
from worker.quantization.simulation import ROUNDED_LAYERS, QuantizedFile, Simulation, simulated
from worker.run import Run
from worker.techniques import apply
from worker.techniques.onnx_int8 import check_holds_int8
from worker.techniques.static_quantization import (
    InTorch,
    StaticQuantizer,
    calibrated_by_onnx,
    warn_of_recurrent_layers,
)
from worker.training import train
from worker.training.freezing import trainable_layers
from worker.training.objectives import Objective, imitation, supervised
from worker.training.pruned_weights import PrunedWeights

CALIBRATED, TRAINED = 0.1, 0.9
EXAMPLES_COMPARED = 2


@apply.register
def quantization_aware_training(step: QuantizationAwareTraining, network: Network, run: Run) -> Network:
    """The network gets the trained weights in float32; its files are quantized when they are written."""
    assert run.data is not None, "a recipe that trains is refused without data"
    folded = replace(network, module=deepcopy(network.module))
    fold_batch_norms(folded.module)
    _check_patterns(step, folded)
    warn_of_recurrent_layers(network, run)
    data = CalibrationData(network, run.data.train, run.data.train.chosen(step.examples, run.seed))
    calibration = _calibrated(step, folded, data, _part(run, 0, CALIBRATED))
    _train(step, folded.module, calibration.simulation, PrunedWeights(network), _part(run, CALIBRATED, TRAINED))
    ranges = calibration.ranges.with_ends(calibration.simulation.learned_ends())

    def quantize(source: Path, target: Path) -> None:
        StaticQuantizer(_static(step), run, data, source, target, ranges).quantize()

    in_torch = InTorch(_static(step), folded, run, data, ranges)
    return folded.changed_after_export("onnx", quantize).changed_before_tracing(in_torch.quantized)


def _check_patterns(step: QuantizationAwareTraining, network: Network) -> None:
    """Before anything is written, so that the answer names this technique."""
    selected(step, [name for name, layer in layers_of(network.module).items() if isinstance(layer, ROUNDED_LAYERS)])


@dataclass(frozen=True)
class _Calibrated:
    ranges: Ranges
    simulation: Simulation


def _calibrated(step: QuantizationAwareTraining, network: Network, data: CalibrationData, run: Run) -> _Calibrated:
    with TemporaryDirectory() as folder, calibrated_by_onnx(step):
        exact, quantized = float_onnx(network), Path(folder, "quantized.onnx")
        quantizer = StaticQuantizer(_static(step), replace(run, details=Details()), data, exact, quantized)
        ranges = quantizer.quantize()
        check_holds_int8(quantized, step)
        largest, learned = quantizer.rounding.largest, step.ranges == "learned"
        file = QuantizedFile(onnx.load(exact), onnx.load(quantized), largest, learned)
    feed = {name: array[:EXAMPLES_COMPARED] for name, array in next(iter(data)).items()}
    return _Calibrated(ranges, simulated(network.module, file, feed))


def _train(
    step: QuantizationAwareTraining, module: nn.Module, simulation: Simulation, pruned: PrunedWeights, run: Run
) -> None:
    use_labels = _uses_labels(step, run)
    train(
        simulation.module,
        step,
        _objective(step, run, use_labels=use_labels),
        run,
        after_step=partial(pruned.hold_in, module),
        message="Training with int8 rounding",
        layers=_trained(step, module, simulation.module),
        use_labels=use_labels,
    )


def _uses_labels(step: QuantizationAwareTraining, run: Run) -> bool:
    assert run.data is not None
    return step.labels != "none" and run.data.train.labels is not None


def _objective(step: QuantizationAwareTraining, run: Run, *, use_labels: bool) -> Objective:
    return supervised(run, step.label_smoothing) if use_labels else imitation(run, run.upload.module)


def _trained(step: QuantizationAwareTraining, module: nn.Module, simulation: nn.Module) -> Collection[str] | None:
    """By their names in the simulation, where those that are rounded have others; ranges learn wherever they are."""
    if not step.only and not step.exclude:
        return None
    named = layers_of(module)
    chosen = {named[name] for name in selected(step, trainable_layers(module))}
    found = layers_of(simulation)
    return [name for name, layer in found.items() if layer in chosen or isinstance(layer, LearnedActivation)]


def _static(step: QuantizationAwareTraining) -> StaticQuantization:
    return StaticQuantization(
        calibration=step.calibration, examples=step.examples, exclude=step.exclude, only=step.only
    )


def _part(run: Run, start: float, end: float) -> Run:
    first, width = run.share[0], run.share[1] - run.share[0]
    return replace(run, share=(first + start * width, first + end * width))
