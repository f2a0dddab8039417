"""What both int8 techniques make of a TorchScript archive: layers of torch that compute in int8."""

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy

import onnx
import torch
from torch import fx, nn

from app.core.errors import Problem
from app.core.recipes import DynamicQuantization, StaticQuantization, Step
from worker.layer_selection import selected
from worker.network import layers_of
from worker.quantization.adjusted_weights import take_over_adjusted
from worker.quantization.batch_norm_folding import fold_batch_norms
from worker.quantization.calibration_data import CalibrationData
from worker.quantization.torch_int8 import dynamic_can, static_can, with_dynamic_kernels, with_static_kernels
from worker.run import Run

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
RECURRENT = (nn.LSTM, nn.GRU)


def static_in_torch(
    step: StaticQuantization,
    module: fx.GraphModule,
    data: CalibrationData,
    adjusted: onnx.ModelProto,
    in_float: Collection[str],
    largest_weight: int,
    run: Run,
) -> fx.GraphModule:
    """`adjusted` is the network's ONNX file with the weights that are to be rounded, `in_float` names the layers that
    stay as they are."""
    folded = deepcopy(module)
    fold_batch_norms(folded)
    take_over_adjusted(folded, adjusted, next(iter(data)))
    chosen = [n for n, each in layers_of(folded).items() if isinstance(each, WEIGHTED) and n not in in_float]
    layers = _with_kernels(step, folded, chosen, static_can, run)
    batches = ([torch.from_numpy(array) for array in feed.values()] for feed in data)
    return with_static_kernels(
        folded,
        layers,
        batches,
        method=step.calibration,
        per_channel=step.per_channel,
        largest_weight=largest_weight,
    )


def dynamic_in_torch(step: DynamicQuantization, module: fx.GraphModule, run: Run) -> fx.GraphModule:
    found = layers_of(module)
    chosen = selected(step, [name for name, layer in found.items() if isinstance(layer, (nn.Linear, *RECURRENT))])
    layers = _with_kernels(step, module, chosen, dynamic_can, run)
    for name in chosen:
        run.detail("Layers", layer=name, bits=8 if name in layers else 32)
    return with_dynamic_kernels(module, layers, per_channel=step.per_channel)


def _with_kernels(
    step: Step, module: fx.GraphModule, chosen: Sequence[str], can: Callable[[nn.Module], bool], run: Run
) -> list[str]:
    layers = [name for name in chosen if can(module.get_submodule(name))]
    if not layers:
        raise Problem(
            f"{step.technique} found no layer that torch has int8 kernels for and that the step may touch. Leave the "
            "step out, or widen `only` and `exclude`.",
            code="nothing_quantized",
            title="Nothing was quantized",
        )
    if left := [name for name in chosen if name not in layers]:
        run.warn(f"Torch has no int8 kernels for {', '.join(left)}: they stay in float32 in TorchScript.")
    return layers
