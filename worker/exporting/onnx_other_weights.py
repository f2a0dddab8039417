"""The file of a network that differs in its weights alone from one that was traced before.

Tracing it again would find the same graph, and takes several times as long as to put other tensors into the file.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from worker.network import Network
from worker.quantization.batch_norm_folding import foldable

_FIRST_VALUES, _INTEGERS = 32, "biu"
_PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@dataclass(frozen=True)
class _Source:
    """A tensor of the network, as it is or transposed."""

    name: str
    transposed: bool

    def among(self, tensors: Mapping[str, Tensor]) -> NDArray[np.generic]:
        values = tensors[self.name].detach().numpy()
        return np.ascontiguousarray(values.T if self.transposed else values)


@dataclass(frozen=True)
class Sources:
    """By each stored tensor's name which of the network's it is; several where they are equal. `fixed` are tensors of
    the network that went into numbers of the graph, too."""

    stored: Mapping[str, tuple[_Source, ...]]
    fixed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: onnx.ModelProto, module: nn.Module) -> "Sources | None":
        """None where the exporter computed any of the stored tensors from others in a way that isn't known here."""
        tensors, found = tensors_of(module), dict[str, tuple[_Source, ...]]()
        alike = _by_first_values(tensors)
        for stored in model.graph.initializer:
            values = numpy_helper.to_array(stored)
            candidates = alike.get(_first_values(values), ())
            same = tuple(each for each in candidates if np.array_equal(each.among(tensors), values))
            if not same and values.dtype.kind not in _INTEGERS:  # those are sizes
                return None
            found[stored.name] = same
        return cls(found)

    def still_in(self, before: Mapping[str, int], graph: onnx.GraphProto) -> "Sources":
        """`before` is `readers_in` the graph from which this one was simplified."""
        now = readers_in(graph)
        changed = {name for name in self.stored if before.get(name) != now.get(name)}
        return Sources(self.stored, frozenset(each.name for name in changed for each in self.stored[name]))

    def put(self, model: onnx.ModelProto, module: nn.Module, changed: Set[str]) -> bool:
        """The module's tensors in place of those that the file has of `changed`. False where that doesn't give what
        tracing would; the model is then of no use."""
        places = {each.name for sources in self.stored.values() for each in sources}
        elsewhere = {name for pair in _pairs(module) if places.issuperset(pair.folded()) for name in pair.tensors()}
        tensors = tensors_of(module)
        are_weights = all(tensors[name].is_floating_point() for name in changed - elsewhere)
        if changed - places - elsewhere or not self.fixed.isdisjoint(changed) or not are_weights:
            return False
        touched = [
            stored
            for stored in model.graph.initializer
            if any(source.name in changed for source in self.stored.get(stored.name, ()))
        ]
        return all(_replaced(stored, self.stored[stored.name], tensors) for stored in touched)


def _replaced(stored: onnx.TensorProto, sources: tuple[_Source, ...], tensors: Mapping[str, Tensor]) -> bool:
    values = sources[0].among(tensors)
    if not all(np.array_equal(values, other.among(tensors)) for other in sources[1:]):
        return False
    stored.CopyFrom(numpy_helper.from_array(values, stored.name))
    return True


@dataclass(frozen=True)
class _Pair:
    """A convolution and the batch norm behind it, of which the exporter makes one."""

    names: tuple[str, str]
    layers: Any

    def tensors(self) -> Iterator[str]:
        for name, layer in zip(self.names, self.layers, strict=True):
            yield from (f"{name}.{own}" for own in layer.state_dict())

    def folded(self) -> dict[str, Tensor]:
        """Computed as the exporter does, to the bit."""
        convolution, norm = self.layers
        name, bias = "*".join(self.names), 0.0 if convolution.bias is None else convolution.bias
        factors = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return {
            f"{name}.weight": convolution.weight * factors.reshape(-1, *[1] * (convolution.weight.ndim - 1)),
            f"{name}.bias": (bias - norm.running_mean) * factors + norm.bias,
        }


def _pairs(module: nn.Module) -> Iterator[_Pair]:
    for convolution, norm in foldable(module) if isinstance(module, fx.GraphModule) else ():
        names = str(convolution.target), str(norm.target)
        layers = tuple(module.get_submodule(name) for name in names)
        if layers[1].weight is not None:
            yield _Pair(names, layers)


@torch.no_grad()
def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """By name; also those that the exporter makes of a convolution and a batch norm."""
    own = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    return own | {name: tensor for pair in _pairs(module) for name, tensor in pair.folded().items()}


def digests_of(tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    return {name: _digest(tensor) for name, tensor in tensors.items()}


def _digest(tensor: Tensor) -> bytes:
    values = tensor.detach().contiguous()
    return hashlib.sha256(values.reshape(-1).view(torch.uint8).numpy().data).digest()


def readers_in(graph: onnx.GraphProto) -> Mapping[str, int]:
    """How many inputs of nodes and answers each name is of."""
    answers = (each.name for each in graph.output)
    return Counter([name for node in graph.node for name in node.input]) + Counter(answers)


def structure_of(network: Network, tensors: Mapping[str, Tensor]) -> str:
    """Equal for networks that differ in their tensors' values at most. What a layer has beside tensors and plain values
    might hold anything: then it is like no other."""
    layers = network.module.named_modules(remove_duplicate=False)
    shapes = (f"{name}: {each.dtype} {tuple(each.shape)}" for name, each in tensors.items())
    told = (part for name, layer in layers for part in _told(name, layer))
    return "\n".join((repr(network.inputs), *shapes, *told))


def _told(name: str, layer: nn.Module) -> Iterator[str]:
    yield f"{name}: {type(layer).__qualname__}"
    if isinstance(layer, fx.GraphModule):
        yield layer.code
        return
    for attribute, value in sorted(vars(layer).items()):
        if attribute not in _OF_EVERY_MODULE:
            yield f"{attribute}={value if all(map(_is_plain, tree_leaves(value))) else id(value)}"


def _is_plain(leaf: object) -> bool:
    return isinstance(leaf, _PLAIN) or (callable(leaf) and not isinstance(leaf, nn.Module))


def _by_first_values(tensors: Mapping[str, Tensor]) -> Mapping[object, tuple[_Source, ...]]:
    found: dict[object, tuple[_Source, ...]] = defaultdict(tuple)
    for name, tensor in tensors.items():
        if tensor.dtype is torch.bfloat16:  # which numpy lacks
            continue
        values = tensor.detach().numpy()
        for transposed in (False, True) if tensor.ndim == 2 else (False,):
            found[_first_values(values.T if transposed else values)] += (_Source(name, transposed),)
    return found


def _first_values(values: NDArray[np.generic]) -> object:
    """What equal tensors have in common."""
    return values.dtype, values.shape, values.flat[:_FIRST_VALUES].tobytes()
