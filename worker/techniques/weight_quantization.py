"""Storage of weights in 8 bits to 1. The methods stand in `worker/packing`, each with its source."""

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from app.core.details import Value
from app.core.errors import Problem
from app.core.recipes import WeightQuantization
from worker.importance.gram_matrices import gram_matrices
from worker.layer_selection import layers_left_alone
from worker.network import Network
from worker.packing.error_compensation import compensated
from worker.packing.in_file import found_again
from worker.packing.in_onnx import Weight, pack_file
from worker.packing.in_openvino import compress_weights
from worker.packing.methods import quantized
from worker.packing.network import NOT_STORED, named, with_packed
from worker.packing.packed import Codebook, Grouped, Joined, Packed, RowsScaled, bytes_of
from worker.packing.table import row_of
from worker.run import Run
from worker.techniques import apply

FEWEST_WEIGHTS = 64
_TABLE = "Weights"
RECURRENT_STAY_FLOAT = (
    "In files of OpenVINO recurrent layers stay in float32: its quantizer doesn't find their weights. float_casting "
    "stores them in half of the size."
)


@apply.register
def weight_quantization(step: WeightQuantization, network: Network, run: Run) -> Network:
    """Weights of two dimensions and more; biases and norms stay in float32."""
    left_alone = layers_left_alone(step, network.module)
    grams = gram_matrices(network, run) if step.method == "gptq" else {}
    run.progress(0.0, f"Rounding weights to {step.bits} bits")
    rows: dict[str, dict[str, Value]] = {}
    lost: list[str] = []

    def pack(name: str, parameter: nn.Parameter) -> Grouped | Codebook | None:
        if name in grams:
            packed = _if_smaller(parameter, compensated(parameter, step.group_size, step.bits, grams[name]))
        else:
            # What runs computes in float32 or not at all; of weights alone the file says what to make of them again.
            values = parameter.detach() if network.runs else parameter.detach().float()
            packed = _if_smaller(parameter, _packed(step, values, parameter.shape[0] if parameter.ndim else 1))
        if packed is not None:
            rows[name] = row_of(name, parameter.detach(), packed)
        return packed

    changed = with_packed(network, left_alone, pack, lost.extend)
    if not changed.packed.keys() - network.packed.keys():
        raise _nothing_quantized(step, lost)
    if lost:
        run.warn(NOT_STORED.format(names=named(lost)))
    for name in [each for each in rows if each in changed.packed]:
        run.detail(_TABLE, **rows[name])
    if grams:
        _warn_of_unseen(run, (changed.packed.keys() - network.packed.keys()) - grams.keys())
    if "openvino" in run.formats and any(isinstance(layer, nn.RNNBase) for layer in network.module.modules()):
        run.warn(RECURRENT_STAY_FLOAT)
    return _changed_in_files(step, changed, left_alone, run)


def _changed_in_files(step: WeightQuantization, network: Network, left_alone: Collection[str], run: Run) -> Network:
    """An exporter folds batch norms into weights, and joins and reorders those of recurrent layers: the file's own
    tensors are rounded again where they can't be recognized as what was rounded before."""

    def pack(weight: Weight) -> Packed | RowsScaled | Joined | None:
        if weight.is_bias:
            return None
        again = found_again(weight.values, weight.layers, network.packed)
        return again or _packed(step, weight.values, weight.rows)

    def pack_in_onnx(source: Path, target: Path) -> None:
        pack_file(source, target, left_alone, pack)

    def pack_in_openvino(source: Path, target: Path) -> None:
        compress_weights(source, target, step, left_alone, run)

    return network.changed_after_export("onnx", pack_in_onnx).changed_after_export("openvino", pack_in_openvino)


def _packed(step: WeightQuantization, values: Tensor, rows: int) -> Grouped | Codebook | None:
    if values.ndim < 2 or values.numel() < FEWEST_WEIGHTS or values.dtype is not torch.float32:
        return None
    return _if_smaller(values, quantized(step, values, rows))


def _if_smaller(values: Tensor, packed: Grouped | Codebook | None) -> Grouped | Codebook | None:
    """A small weight's levels can take more than they save."""
    smaller = packed is not None and bytes_of(packed) < values.numel() * values.element_size()
    return packed if smaller else None


def _warn_of_unseen(run: Run, names: Collection[str]) -> None:
    if names:
        shown = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        run.warn(f"gptq can't see what these weights multiply; they are rounded plainly (affine): {shown}.")


def _nothing_quantized(step: WeightQuantization, lost: Sequence[str]) -> Problem:
    none_smaller = (
        f"{step.technique} found no weight of {FEWEST_WEIGHTS} values or more that would be smaller in {step.bits} "
        f"bits by the method {step.method}. Leave the step out, or widen `only` and `exclude`."
    )
    return Problem(
        NOT_STORED.format(names=named(lost)) if lost else none_smaller,
        code="nothing_quantized",
        title="Nothing was quantized",
    )
