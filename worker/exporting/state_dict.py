"""A state dict under the upload's names, and a description from which torch alone rebuilds the network."""

import inspect
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, fx, nn

from app.core.errors import Problem
from worker.exporting import load_network
from worker.network import Network, layers_of
from worker.packing.bitmask import Bitmask, nonzero_values, saves_space
from worker.packing.deflated import deflated
from worker.packing.packed import Packed, is_taken

Stored = TypeVar("Stored")

_DESCRIPTION = "network.json"
_LOADER = "load_network.py"
_NOT_ARGUMENTS = frozenset({"self", "args", "kwargs", "mode", "device", "dtype"})


def export_state_dict(network: Network, path: Path) -> tuple[Path, ...]:
    """Beside `path`: network.json, and the loader that reads both with torch and safetensors only.

    Of weights without a network the description says only how they are stored.
    """
    weights, tied = stored_tensors(network.module)
    renamed = _renamed(network.module, weights) if network.runs else {}
    packed = _sparse(weights) | {name: one for name, one in network.packed.items() if name in weights}
    weights, packed = _as_uploaded(weights, renamed), _as_uploaded(packed, renamed)
    stored, streams = deflated(_packed_tensors(packed))
    save_file(weights | stored, path, metadata={"format": "pt"})
    description = path.with_name(_DESCRIPTION if path.stem == "model" else f"{path.stem}.{_DESCRIPTION}")
    described = describe(network, tied, renamed) if network.runs else _weights_described(network, packed)
    described |= _packing(packed) | ({"deflated": streams} if streams else {})
    description.write_text(json.dumps(described, allow_nan=False, indent=1))
    loader = path.with_name(_LOADER)
    shutil.copyfile(str(load_network.__file__), loader)
    return description, loader


def stored_tensors(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each tensor once, and for every further name of it the name that it is kept under."""
    kept: dict[int, str] = {}
    weights, tied = {}, {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        first = kept.setdefault(id(tensor), name)
        if first == name:
            weights[name] = tensor.detach().contiguous().clone()
        else:
            tied[name] = first
    return weights, tied


def stored_without_zeros(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a file has of weights of which nothing else is packed."""
    stored, _ = deflated(_packed_tensors(_sparse(weights)))
    return {**weights, **stored}


def _sparse(weights: Mapping[str, Tensor]) -> dict[str, Packed | Bitmask]:
    """Those that pruning has left so many zeros in that a file without them is smaller."""
    nonzero = {name: nonzero_values(tensor) for name, tensor in weights.items()}
    smaller = [n for n, t in weights.items() if saves_space(t.numel(), nonzero[n], t.element_size())]
    return {name: Bitmask.of(weights[name]) for name in smaller if not is_taken(name, weights)}


def _packed_tensors(packed: Mapping[str, Packed | Bitmask]) -> dict[str, Tensor]:
    beside = {f"{name}.{what}": one for name, each in packed.items() for what, one in each.beside().items()}
    return {name: each.stored() for name, each in packed.items()} | beside


def _packing(packed: Mapping[str, Packed | Bitmask]) -> dict[str, dict[str, str]]:
    return {"packed": {name: each.kind for name, each in packed.items()}} if packed else {}


def _weights_described(network: Network, packed: Mapping[str, Packed | Bitmask]) -> dict[str, Any]:
    """`dtypes` are of tensors that the loader would make float32 otherwise."""
    dtypes = {
        name: one.dtype for name, one in network.module.named_parameters() if isinstance(packed.get(name), Packed)
    }
    others = {name: _written_type(dtype) for name, dtype in dtypes.items() if dtype is not torch.float32}
    return {"format_version": load_network.FORMAT_VERSION, "dtypes": others}


def _written_type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _renamed(module: fx.GraphModule, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """The upload's names of tensors that had to move to become a layer's, such as `attention.in_proj_weight`."""
    moved = {new: old for new, old in module.meta.get("renamed", {}).items() if new in weights}
    return {new: old for new, old in moved.items() if old not in weights and list(moved.values()).count(old) == 1}


def _as_uploaded(named: Mapping[str, Stored], renamed: Mapping[str, str]) -> dict[str, Stored]:
    return {renamed.get(name, name): one for name, one in named.items()}


def describe(network: Network, tied: dict[str, str], renamed: dict[str, str]) -> dict[str, Any]:
    layers = _leaf_layers(network.module)
    return {
        "format_version": load_network.FORMAT_VERSION,
        "inputs": [spec.model_dump(mode="json") for spec in network.inputs],
        "layers": [{"name": n, "class": type(m).__name__, "arguments": arguments_of(m)} for n, m in layers.items()],
        "tensors": [_described_tensor(n, t) for n, t in _own_tensors(network.module, layers)],
        "tied": tied,
        "renamed": renamed,
        "graph": [_described_node(node) for node in network.module.graph.nodes],
    }


def _leaf_layers(module: fx.GraphModule) -> dict[str, nn.Module]:
    """Layers that aren't part of another torch.nn layer."""
    called = {str(node.target) for node in module.graph.nodes if node.op == "call_module"}
    inside = {n for n in layers_of(module) if any(n.startswith(f"{c}.") for c in called)}
    names = (called | set(layers_of(module))) - inside
    return {name: module.get_submodule(name) for name in sorted(names)}


def _own_tensors(module: nn.Module, layers: dict[str, nn.Module]) -> list[tuple[str, Tensor]]:
    of_layers = {f"{name}.{key}" for name, layer in layers.items() for key in layer.state_dict()}
    return [(name, t) for name, t in module.state_dict(keep_vars=True).items() if name not in of_layers]


def _described_tensor(name: str, tensor: Tensor) -> dict[str, Any]:
    kind = "parameter" if isinstance(tensor, nn.Parameter) else "buffer"
    return {"name": name, "kind": kind, "shape": list(tensor.shape), "dtype": _written_type(tensor.dtype)}


def arguments_of(layer: nn.Module) -> dict[str, Any]:
    """The constructor's arguments, which torch.nn layers keep as attributes of the same names."""
    if isinstance(layer, nn.TransformerEncoderLayer):
        return _encoder_arguments(layer)
    if isinstance(layer, nn.RNNBase):
        return _recurrent_arguments(layer)
    return _attributes(layer, type(layer))


def _recurrent_arguments(layer: nn.RNNBase) -> dict[str, Any]:
    """As of the base class; a projection is the LSTM's alone, a choice of function the RNN's."""
    arguments = _attributes(layer, nn.RNNBase)
    if not isinstance(layer, nn.LSTM):
        del arguments["proj_size"]
    return arguments | ({"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {})


def _attributes(layer: nn.Module, declaring: type[nn.Module]) -> dict[str, Any]:
    names = [name for name in inspect.signature(declaring.__init__).parameters if name not in _NOT_ARGUMENTS]
    return {name: _argument(getattr(layer, name)) for name in names if hasattr(layer, name)}


def _argument(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return True  # an attribute such as `bias`, whose argument only says that there is one
    if isinstance(value, list | tuple):
        return [_argument(each) for each in value]
    raise _not_describable(f"a layer's argument of the type {type(value).__name__}")


def _encoder_arguments(layer: nn.TransformerEncoderLayer) -> dict[str, Any]:
    return {
        "d_model": layer.self_attn.embed_dim,
        "nhead": layer.self_attn.num_heads,
        "dim_feedforward": layer.linear1.out_features,
        "dropout": layer.dropout.p,
        "activation": "gelu" if layer.activation_relu_or_gelu == 2 else "relu",
        "layer_norm_eps": layer.norm1.eps,
        "batch_first": layer.self_attn.batch_first,
        "norm_first": layer.norm_first,
        "bias": layer.linear1.bias is not None,
    }


def _described_node(node: fx.Node) -> dict[str, Any]:
    target = node.target if isinstance(node.target, str) else torch.fx.node._get_qualified_name(node.target)
    return {
        "op": node.op,
        "name": node.name,
        "target": target,
        "args": [_encoded(argument) for argument in node.args],
        "kwargs": {name: _encoded(argument) for name, argument in node.kwargs.items()},
    }


def _encoded(value: Any) -> Any:
    """The counterpart of load_network's `_value`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
        return {"torch": str(value).removeprefix("torch.")}
    if value is ...:
        return {"ellipsis": True}
    return _encoded_collection(value)


def _encoded_collection(value: Any) -> Any:
    if isinstance(value, slice):
        return {"slice": [_encoded(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, dict):
        return {"dict": [[name, _encoded(each)] for name, each in value.items()]}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_encoded(each) for each in value]}
    raise _not_describable(f"a value of the type {type(value).__name__}")


def _not_describable(what: str) -> Problem:
    return Problem(
        f"The network holds {what}, which network.json can't describe. Ask for onnx or torchscript in `outputs`.",
        code="export_failed",
        title="A file can't be written",
    )
