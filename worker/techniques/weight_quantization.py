"""Integer storage of weights: Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018; scales for groups of neighbours as in Dettmers et al., 2022."""

from pathlib import Path

import onnx
import torch
from torch import nn

from app.core.errors import Problem
from app.core.recipes import WeightQuantization
from worker.network import Network
from worker.packing.in_onnx import Weight, pack_weights
from worker.packing.network import with_packed
from worker.packing.packed import Grouped
from worker.packing.rounding import rounded
from worker.run import Run
from worker.techniques import apply
from worker.techniques.left_alone import layers_left_alone

FEWEST_WEIGHTS = 64


@apply.register
def weight_quantization(step: WeightQuantization, network: Network, run: Run) -> Network:
    """Weights of two dimensions and more; biases and norms stay in float32."""
    left_alone = layers_left_alone(step, network.module)
    symmetric = step.method == "symmetric"
    run.progress(0.0, f"Rounding weights to {step.bits} bits")

    def pack(_name: str, parameter: nn.Parameter) -> Grouped | None:
        if parameter.ndim < 2 or parameter.numel() < FEWEST_WEIGHTS or parameter.dtype is not torch.float32:
            return None
        return rounded(parameter, parameter.shape[0], step.group_size, symmetric=symmetric, bits=step.bits)

    def pack_in_onnx(source: Path, target: Path) -> None:
        model = onnx.load(source)
        pack_weights(model, left_alone, lambda weight: _packed(step, weight))
        onnx.save(model, target)

    changed = with_packed(network, left_alone, pack)
    if not changed.packed.keys() - network.packed.keys():
        raise Problem(
            f"{step.technique} found no weight of {FEWEST_WEIGHTS} values or more to store in {step.bits} bits. Leave "
            "the step out, or widen `only` and `exclude`.",
            code="nothing_quantized",
            title="Nothing was quantized",
        )
    return changed.changed_after_export("onnx", pack_in_onnx)


def _packed(step: WeightQuantization, weight: Weight) -> Grouped | None:
    """Again from the file's own tensors: an exporter folds batch norms into weights and joins those of LSTMs."""
    if weight.values.ndim < 2:
        return None
    return rounded(weight.values, weight.rows, step.group_size, symmetric=step.method == "symmetric", bits=step.bits)
