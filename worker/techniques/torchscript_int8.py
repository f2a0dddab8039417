"""What both int8 techniques make of a TorchScript archive: layers of torch that compute in int8."""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy

import onnx
import torch
from torch import fx, nn

from app.core.errors import Problem
from app.core.recipes import DynamicQuantization, StaticQuantization, Step
from worker.layer_selection import layers_left_alone, selected
from worker.network import Network, layers_of
from worker.packing.network import with_packed
from worker.packing.packed import Grouped
from worker.packing.rounding import rounded
from worker.quantization.adjusted_weights import take_over_adjusted
from worker.quantization.batch_norm_folding import fold_batch_norms
from worker.quantization.calibration_data import CalibrationData
from worker.quantization.layer_table import RoundedWeights
from worker.quantization.stored_in_int8 import tell_rounded
from worker.quantization.torch_int8 import (
    dynamic_can,
    dynamic_weights,
    static_can,
    with_dynamic_kernels,
    with_static_kernels,
)
from worker.run import Run

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
STATIC = (*WEIGHTED, nn.Embedding)
DYNAMIC = (nn.Linear, nn.LSTM, nn.GRU, nn.Embedding)
# Their weights are stored in int8, and made float32 in each call.
UNPACKED = (nn.RNN,)


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
    chosen = [n for n, each in layers_of(folded).items() if isinstance(each, STATIC) and n not in in_float]
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


def dynamic_in_torch(
    step: DynamicQuantization, module: fx.GraphModule, rounded_before: Mapping[str, RoundedWeights], run: Run
) -> fx.GraphModule:
    """`rounded_before` are layers without such kernels, by name: their weights are stored in int8 already."""
    found = layers_of(module)
    chosen = selected(step, [name for name, layer in found.items() if isinstance(layer, (*DYNAMIC, *UNPACKED))])
    unpacked = [name for name in chosen if isinstance(found[name], UNPACKED)]
    wanted = [name for name in chosen if name not in unpacked]
    layers = _with_kernels(step, module, wanted, dynamic_can, run) if wanted or not unpacked else []
    quantized = with_dynamic_kernels(module, layers, per_channel=step.per_channel)
    told = dict(rounded_before) | {name: dynamic_weights(found[name], quantized.get_submodule(name)) for name in layers}
    for name in chosen:
        multiplied = name in layers and not isinstance(found[name], nn.Embedding)
        numbers = told[name].row() if name in told else {}
        computed = "int8" if multiplied else "float32"
        run.detail("Layers", layer=name, bits=8 if name in told else 32, computed_in=computed, **numbers)
    return quantized


def with_unpacked(step: DynamicQuantization, network: Network, told: dict[str, RoundedWeights]) -> Network:
    """The same network, of which an archive holds the weights of plain recurrent layers in int8; `told` gets what that
    did to them, by their names."""
    layers = layers_of(network.module)
    if not any(isinstance(layer, UNPACKED) for layer in layers.values()):
        return network

    def pack(name: str, parameter: nn.Parameter) -> Grouped | None:
        layer = name.rpartition(".")[0]
        if not isinstance(layers.get(layer), UNPACKED) or parameter.ndim < 2:
            return None
        packed = rounded(parameter, len(parameter) if step.per_channel else 1, None, symmetric=True)
        tell_rounded(told.setdefault(layer, RoundedWeights()), parameter, packed)
        return packed

    return with_packed(network, layers_left_alone(step, network.module), pack)


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
