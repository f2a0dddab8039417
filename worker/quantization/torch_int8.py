"""int8 kernels of torch itself, by torch.ao.quantization. That is on its way out of torch: only this module touches it.

What these make runs in any engine of torch (`fbgemm`, `onednn`, `qnnpack`): a file holds the weights, and the engine
that is set when it is loaded lays them out for its own kernels.
"""

import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
import torch.ao.nn.quantized.dynamic as dynamic_layers
from torch import Tensor, fx, nn
from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver, QConfig, QConfigMapping
from torch.ao.quantization.fx.custom_config import PrepareCustomConfig
from torch.ao.quantization.qconfig import default_dynamic_qconfig, per_channel_dynamic_qconfig
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from worker.quantization.between_int8_layers import between_int8_layers, last_linear_layers
from worker.quantization.int8_embedding import Int8Embedding
from worker.quantization.layer_table import RoundedWeights
from worker.quantization.range_of_values import RangeOfValues

STATIC_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Embedding)
DYNAMIC_LAYERS = (nn.Linear, nn.LSTM, nn.GRU, nn.Embedding)
_SIX = 6.0


def static_can(layer: nn.Module) -> bool:
    return isinstance(layer, STATIC_LAYERS) and getattr(layer, "padding_mode", "zeros") == "zeros"


def dynamic_can(layer: nn.Module) -> bool:
    return type(layer) in DYNAMIC_LAYERS and not getattr(layer, "proj_size", 0)


def with_static_kernels(
    module: fx.GraphModule,
    layers: Collection[str],
    batches: Iterable[Sequence[Tensor]],
    *,
    method: str,
    per_channel: bool,
    largest_weight: int,
) -> fx.GraphModule:
    """A copy whose `layers`, and what lies between them, work on 8-bit integers; embeddings only store them.

    The ranges of activations are found on `batches` of the module's inputs by `method`, see `ranges.py`.
    """
    chosen = _qconfig(method, largest_weight, per_channel=per_channel)
    copied = deepcopy(module)
    tables = {name: each for name in layers if isinstance(each := copied.get_submodule(name), nn.Embedding)}
    computing = [name for name in layers if name not in tables]
    last = last_linear_layers(copied, computing)
    converted, aside = _converted(copied, [name for name in computing if name not in last], batches, chosen)
    aside |= {name: _LastLinear.made_of(aside[name], chosen) for name in last}
    aside |= {name: Int8Embedding(table, per_channel=per_channel) for name, table in tables.items()}
    for name, layer in aside.items():
        converted.set_submodule(name, layer)
    return converted


def _converted(
    module: fx.GraphModule, layers: Collection[str], batches: Iterable[Sequence[Tensor]], chosen: QConfig
) -> tuple[fx.GraphModule, dict[str, nn.Module]]:
    """With stand-ins for all other layers, which are the second answer."""
    batches = iter(batches)
    first = next(batches)
    capped = _with_plain_relus(module, layers)
    inside = between_int8_layers(module, layers)
    aside = _set_aside(module, {*layers, *(node.target for node in inside)})
    with _deprecated(), torch.no_grad():
        observed = prepare_fx(module, _mapping(module, layers, inside, chosen), tuple(first), _ASIDE)
        _cap(observed, capped)
        observed(*first)
        for batch in batches:
            observed(*batch)
        return convert_fx(observed), aside


def with_dynamic_kernels(module: fx.GraphModule, layers: Collection[str], *, per_channel: bool) -> fx.GraphModule:
    """A copy whose `layers` have weights in int8, and round their inputs in each call, but for embeddings."""
    copied = deepcopy(module)
    for name in layers:
        copied.set_submodule(name, _with_dynamic_kernel(copied.get_submodule(name), per_channel=per_channel))
    return copied


def _with_dynamic_kernel(layer: Any, *, per_channel: bool) -> nn.Module:
    if isinstance(layer, nn.Embedding):
        return Int8Embedding(layer, per_channel=per_channel)
    layer.qconfig = per_channel_dynamic_qconfig if per_channel else default_dynamic_qconfig
    with _deprecated():
        made: nn.Module = getattr(dynamic_layers, type(layer).__name__).from_float(layer).eval()
    return made


def dynamic_weights(exact: nn.Module, made: Any) -> RoundedWeights:
    """What `with_dynamic_kernels` did to the weights of a layer."""
    told = RoundedWeights()
    for name, rounded, scales in _dynamic_weights(made):
        told.add(getattr(exact, name).detach().numpy(), rounded.numpy(), scales.numpy())
    return told


def _dynamic_weights(made: Any) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Names, values, scales."""
    if isinstance(made, Int8Embedding):
        yield "weight", made.codes.float() * made.scale, made.scale
        return
    found = made.get_weight() if hasattr(made, "get_weight") else {"weight": made.weight()}
    for name, weight in found.items():
        yield name, weight.dequantize(), _scales(weight)


def _scales(weight: Tensor) -> Tensor:
    is_one = weight.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric)
    return torch.tensor([weight.q_scale()]) if is_one else weight.q_per_channel_scales()


class _LastLinear(dynamic_layers.Linear):
    """Answers in float: torch's static kernel would cut off what no calibration example reached, and round the rest.

    Weights are such that sums of full 8-bit activations don't overflow, so these need no `reduce_range`.
    """

    @classmethod
    def made_of(cls, layer: Any, chosen: QConfig) -> nn.Module:
        layer.qconfig = chosen
        with _deprecated():
            made: nn.Module = cls.from_float(layer).eval()  # type: ignore[no-untyped-call]
        return made

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed_params._packed_params)
        return answers


class _Calibrated(MinMaxObserver):
    """Finds the range of an activation by the methods that ONNX files are calibrated with."""

    def __init__(self, method: str, **keywords: Any) -> None:
        super().__init__(dtype=torch.quint8, quant_min=0, quant_max=255, **keywords)
        self._range = RangeOfValues(method)
        self.most = math.inf

    def forward(self, x_orig: Tensor) -> Tensor:
        if x_orig.numel():
            self._range.collect(x_orig.detach().float().numpy())
        return x_orig

    def calculate_qparams(self, **keywords: Any) -> Any:
        self.min_val, self.max_val = (torch.tensor(min(end, self.most)) for end in self._range.ends())
        return super().calculate_qparams(**keywords)


def _qconfig(method: str, largest_weight: int, *, per_channel: bool) -> QConfig:
    observer = PerChannelMinMaxObserver if per_channel else MinMaxObserver
    scheme = torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric
    weight = observer.with_args(dtype=torch.qint8, qscheme=scheme, quant_min=-largest_weight, quant_max=largest_weight)
    return QConfig(activation=_Calibrated.with_args(method=method), weight=weight)  # type: ignore[no-untyped-call]


class _Aside(nn.Module):
    """Stands for a layer that stays as it is: torch would make one layer of it and of the one behind it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.layer(*inputs, **named)


_ASIDE = PrepareCustomConfig().set_non_traceable_module_classes([_Aside])


def _set_aside(module: fx.GraphModule, others: Collection[object]) -> dict[str, nn.Module]:
    """In place. All but the `others`, by name."""
    called = {str(node.target) for node in module.graph.find_nodes(op="call_module")}
    aside = {name: module.get_submodule(name) for name in sorted(called.difference(map(str, others)))}
    for name, layer in aside.items():
        module.set_submodule(name, _Aside(layer))
    return aside


def _mapping(
    module: fx.GraphModule, layers: Collection[str], inside: Collection[fx.Node], chosen: QConfig
) -> QConfigMapping:
    """Only what is named is rounded: functions by which of their kind they are in the graph's order."""
    mapping = QConfigMapping().set_global(None)
    for name in layers:
        mapping.set_module_name(name, chosen)
    counted: dict[Any, int] = {}
    for node in module.graph.nodes:
        position = counted.get(node.target, 0)
        counted[node.target] = position + 1
        if node in inside and node.op == "call_module":
            mapping.set_module_name(str(node.target), chosen)
        elif node in inside:
            mapping.set_module_name_object_type_order("", node.target, position, chosen)
    return mapping


def _with_plain_relus(module: fx.GraphModule, layers: Collection[str]) -> set[str]:
    """In place: a ReLU6 behind one of `layers` becomes a ReLU, which is part of that layer's kernel. Answers that can't
    be above 6 make up for it: names the layers of which that has to be seen to."""
    capped = set[str]()
    for node in module.graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or len(before.users) > 1 or before.target not in layers:
            continue
        activation = module.get_submodule(str(node.target))
        if isinstance(activation, nn.Hardtanh) and (activation.min_val, activation.max_val) == (0.0, _SIX):
            module.set_submodule(str(node.target), nn.ReLU())
            capped.add(str(before.target))
    return capped


def _cap(observed: fx.GraphModule, layers: Collection[str]) -> None:
    for node in observed.graph.nodes:
        for user in node.users if node.target in layers else ():
            observer = observed.get_submodule(str(user.target)) if user.op == "call_module" else None
            if isinstance(observer, _Calibrated):
                observer.most = _SIX


@contextmanager
def _deprecated() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"torch\.ao\.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", r"torch\.quantize_per_tensor, .* are deprecated", UserWarning)
        yield
