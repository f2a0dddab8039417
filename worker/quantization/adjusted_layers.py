"""Layers that are adjusted to being rounded. One that then stays in float32 keeps what it had: a bias that makes up for
rounding is wrong where nothing is rounded."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import onnx
from onnx import TensorProto

from worker.quantization.weighted_nodes import WeightedNode, weighted_nodes


@dataclass(frozen=True)
class AdjustedLayers:
    """By the name of the node: a tensor of the model, which is as it was, and what it is to become. Empty where nothing
    is adjusted."""

    tensors: Mapping[str, tuple[TensorProto, TensorProto]] = field(default_factory=dict)

    def all_but(self, in_float: Collection[str]) -> list[str]:
        return [name for name in self.tensors if name not in in_float]

    @contextmanager
    def put_in(self, nodes: Collection[str]) -> Iterator[None]:
        """As long as the context lasts."""
        self.exchange(nodes)
        try:
            yield
        finally:
            self.exchange(nodes)

    def exchange(self, nodes: Collection[str]) -> None:
        """Each for the other, so that a second time takes it back."""
        for own, other in (self.tensors[name] for name in nodes if name in self.tensors):
            before = _copied(own)
            own.CopyFrom(other)
            other.CopyFrom(before)


def adjusted_layers(
    model: onnx.ModelProto,
    tensor_of: Callable[[WeightedNode], TensorProto | None],
    adjust: Callable[[onnx.ModelProto], None],
) -> AdjustedLayers:
    """`adjust` works in place, on the tensor that `tensor_of` names of each node, and is taken back."""
    own = {str(node.node.name): tensor_of(node) for node in weighted_nodes(model)}
    exact = {name: (tensor, _copied(tensor)) for name, tensor in own.items() if tensor is not None}
    adjust(model)
    layers = AdjustedLayers(exact)
    layers.exchange(list(exact))
    return layers


def _copied(tensor: TensorProto) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    return copy
