"""Loads a network that modelpress wrote as `model.safetensors` and `network.json`. Needs torch and safetensors only.

    from load_network import load_network
    network = load_network("network.json", "model.safetensors")
    answers = network(torch.rand(1, 1, 28, 28))

or the weights alone, for a network of your own:

    from load_network import load_state_dict
    weights = load_state_dict("network.json", "model.safetensors")
    network.load_state_dict(weights)

The first result is a torch.fx.GraphModule of torch.nn layers in evaluation mode, ready for further training.
"""

import json
import math
import operator
import zlib
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import fx, nn

FORMAT_VERSION = 1
_ROOTS = {
    "torch": torch,
    "math": math,
    "_operator": operator,
    "operator": operator,
    "builtins.getattr": getattr,
    "float": float,
}


class AttentionDropout(nn.Module):
    """The share of attention's weights that is dropped: `p` in training mode, else none."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self) -> float:
        return self.p if self.training else 0.0

    def extra_repr(self) -> str:
        return f"p={self.p}"


def load_network(description: str | Path, weights: str | Path) -> fx.GraphModule:
    described = json.loads(Path(description).read_text())
    if "graph" not in described:
        raise ValueError("network.json describes no network, only how weights are stored: use load_state_dict")
    tensors = unpacked(load_file(weights), described)
    return with_weights(build_network(described), described["tied"], tensors, described.get("renamed", {}))


def load_state_dict(description: str | Path, weights: str | Path) -> dict[str, torch.Tensor]:
    """The weights under the names, and in the types, that they were uploaded with."""
    described = json.loads(Path(description).read_text())
    tensors = unpacked(load_file(weights), described)
    for name, dtype in described.get("dtypes", {}).items():
        tensors[name] = tensors[name].to(getattr(torch, dtype))
    renamed = described.get("renamed", {})
    for alias, name in described.get("tied", {}).items():
        tensors[alias] = tensors[renamed.get(name, name)]
    return tensors


def unpacked(tensors: dict[str, torch.Tensor], described: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors with those that the file holds in fewer bytes made whole: `deflated` says by their names of what the
    zlib streams among them are made, `packed` in which way others are stored."""
    for name, made_of in described.get("deflated", {}).items():
        tensors[name] = _inflated(tensors[name], getattr(torch, made_of["dtype"]), made_of["shape"])
    for name, kind in described.get("packed", {}).items():
        beside = [f"{name}.{what}" for what in _BESIDE[kind]]
        tensors[name] = _UNPACK[kind](tensors[name], *(tensors.pop(one, None) for one in beside))
    return tensors


def _inflated(stream: torch.Tensor, dtype: torch.dtype, shape: list[int]) -> torch.Tensor:
    """Never more than the shape takes, whatever the stream holds."""
    size = math.prod(shape) * dtype.itemsize
    inflater = zlib.decompressobj()
    content = inflater.decompress(stream.numpy().tobytes(), size + 1)
    if len(content) != size or not inflater.eof:
        raise ValueError("a stream doesn't hold what its tensor is made of")
    return torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)


def _from_floats(codes: torch.Tensor) -> torch.Tensor:
    return codes.float()


def _from_groups(codes: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None) -> torch.Tensor:
    """Each row of neighbours has one scale and one zero point."""
    values = codes.float().reshape(len(scale), -1)
    if zero_point is not None:
        values = values - zero_point.float().unsqueeze(1)
    return (values * scale.unsqueeze(1)).reshape(codes.shape)


def _from_groups_in_bits(
    codes: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None, shape: torch.Tensor
) -> torch.Tensor:
    return _from_groups(_from_bits(codes, shape), scale.float(), zero_point)


def _from_levels(codes: torch.Tensor, levels: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    return levels[_from_bits(codes, shape).long()]


def _from_float8(codes: torch.Tensor, levels: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What each of the 256 patterns stands for, times the scale of its row."""
    return (levels[codes.long()].reshape(len(scale), -1) * scale.unsqueeze(1)).reshape(codes.shape)


def _from_bits(rows: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """A row for each bit of the codes, the lowest first; in each byte the first code's bit lowest."""
    values = math.prod(shape.tolist())
    if not 0 <= values <= 8 * rows.shape[1]:
        raise ValueError("there are fewer codes than places")
    codes = torch.zeros(8 * rows.shape[1], dtype=torch.uint8)
    for place, row in enumerate(rows):
        bits = row.unsqueeze(1).bitwise_right_shift(torch.arange(8, dtype=torch.uint8)) & 1
        codes |= bits.flatten().bitwise_left_shift(torch.tensor(place, dtype=torch.uint8))
    return codes[:values].reshape(shape.tolist())


def _from_nonzero(values: torch.Tensor, mask: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Each bit of the mask, the lowest first, says whether there is a value in its place."""
    if math.prod(shape.tolist()) > 8 * len(mask):
        raise ValueError("there are fewer bits than places")
    whole = torch.zeros(shape.tolist(), dtype=values.dtype)
    bits = mask.unsqueeze(1).bitwise_right_shift(torch.arange(8, dtype=torch.uint8)) & 1
    whole[bits.flatten()[: whole.numel()].bool().view_as(whole)] = values
    return whole


_BESIDE = {
    "cast": (),
    "grouped": ("scale", "zero_point"),
    "grouped_bits": ("scale", "zero_point", "shape"),
    "codebook": ("levels", "shape"),
    "float8": ("levels", "scale"),
    "bitmask": ("mask", "shape"),
}
_UNPACK: dict[str, Callable[..., torch.Tensor]] = {
    "cast": _from_floats,
    "grouped": _from_groups,
    "grouped_bits": _from_groups_in_bits,
    "codebook": _from_levels,
    "float8": _from_float8,
    "bitmask": _from_nonzero,
}


def with_weights(
    network: fx.GraphModule,
    tied: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    renamed: Mapping[str, str],
) -> fx.GraphModule:
    """`renamed` says of the network's tensors what they are called in the file, where that is something else."""
    network.meta["renamed"] = dict(renamed)  # by which it is written under these names again
    back = {in_file: name for name, in_file in renamed.items()}
    tensors = {back.get(name, name): tensor for name, tensor in tensors.items()}
    network.load_state_dict({**tensors, **{alias: tensors[name] for alias, name in tied.items()}}, assign=True)
    for alias, name in tied.items():
        owner, _, leaf = alias.rpartition(".")
        setattr(network.get_submodule(owner), leaf, _attribute(network, name))
    return network.requires_grad_().eval()


def build_network(description: Mapping[str, Any]) -> fx.GraphModule:
    """The network without weights: on torch's meta device."""
    if description["format_version"] != FORMAT_VERSION:
        raise ValueError(f"network.json has format {description['format_version']}; this loader reads {FORMAT_VERSION}")
    with torch.device("meta"):
        members = {each["name"]: layer_class(each["class"])(**each["arguments"]) for each in description["layers"]}
    members |= {each["name"]: _tensor(each) for each in description["tensors"]}
    graph = _graph(description["graph"])
    network = fx.GraphModule(members, graph, class_name="Network")
    for name, member in members.items():
        if isinstance(member, nn.Module):
            network.add_submodule(name, member)
        else:
            _put_tensor(network, name, member)
    return network


def layer_class(name: str) -> Any:
    """torch.nn's class, or the one of this file; None where there is none."""
    return AttentionDropout if name == AttentionDropout.__name__ else getattr(nn, name, None)


def _put_tensor(network: nn.Module, path: str, tensor: torch.Tensor) -> None:
    """Also where the graph doesn't read it: the state dict has it, and going on with training may need it."""
    owner, _, leaf = path.rpartition(".")
    module = network
    for name in owner.split(".") if owner else ():
        if name not in module._modules:
            module.add_module(name, nn.Module())
        module = module.get_submodule(name)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(leaf, tensor)
    else:
        module.register_buffer(leaf, tensor)


def _tensor(each: Mapping[str, Any]) -> torch.Tensor:
    empty = torch.empty(each["shape"], dtype=getattr(torch, each["dtype"]), device="meta")
    return nn.Parameter(empty) if each["kind"] == "parameter" else empty


def _graph(nodes: list[Mapping[str, Any]]) -> fx.Graph:
    graph = fx.Graph()
    made: dict[str, fx.Node] = {}
    for each in nodes:
        arguments = tuple(_value(argument, made) for argument in each["args"])
        keywords = {name: _value(argument, made) for name, argument in each["kwargs"].items()}
        target = _function(each["target"]) if each["op"] == "call_function" else each["target"]
        made[each["name"]] = graph.create_node(each["op"], target, arguments, keywords, each["name"])
    return graph


def _function(path: str) -> Any:
    root, _, rest = path.partition(".")
    if path in _ROOTS:
        return _ROOTS[path]
    return reduce(getattr, rest.split("."), _ROOTS[root])


def _value(encoded: Any, made: Mapping[str, fx.Node]) -> Any:
    """JSON has no tuples, slices, dtypes or nodes: each is an object with one key that says what it is."""
    if not isinstance(encoded, dict):
        return encoded
    ((kind, content),) = encoded.items()
    if kind == "node":
        return made[content]
    if kind == "dict":
        return {name: _value(each, made) for name, each in content}
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind]([_value(each, made) for each in content])
    return _SCALARS[kind](content)


_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "list": list,
    "slice": lambda parts: slice(*parts),
}
_SCALARS: dict[str, Callable[[Any], Any]] = {
    "torch": lambda name: getattr(torch, name),
    "float": float,
    "device": torch.device,
    "ellipsis": lambda _: ...,
}


def _attribute(network: nn.Module, path: str) -> Any:
    return reduce(getattr, path.split("."), network)
