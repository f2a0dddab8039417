"""What a network computes on its way to its answers: the values of chosen nodes of its graph."""

import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

Recording = Callable[..., tuple[Any, tuple[Tensor, ...]]]

_ADDITIONS = frozenset({operator.add, operator.iadd, torch.add})
_CHANNELS_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
)
_FOLLOWING = ("torch.nn.modules.activation", "torch.nn.modules.batchnorm", "torch.nn.modules.normalization")


@dataclass(frozen=True)
class Value:
    """A node's answer, of shape (examples, ...). `shape` has no examples; `channel_axis` counts them."""

    name: str
    shape: tuple[int, ...]
    channel_axis: int

    @property
    def channels(self) -> int:
        return self.shape[self.channel_axis - 1]

    @property
    def places(self) -> tuple[int, ...]:
        """An image's height and width, a sequence's length; nothing where each example is one vector."""
        return self.shape[: self.channel_axis - 1] + self.shape[self.channel_axis :]


def with_intermediates(module: nn.Module, names: Sequence[str]) -> Recording:
    """The same layers, answering with (the answers, the values of the nodes of these names)."""
    if not names:
        return lambda *inputs: (module(*inputs), ())
    assert isinstance(module, fx.GraphModule), "names are of nodes"
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    answers = graph.graph_copy(module.graph, copies)
    by_name = {node.name: copies[node] for node in module.graph.nodes if node in copies}
    graph.output((answers, tuple(by_name[name] for name in names)))
    return fx.GraphModule(module, graph)


def features_of(module: fx.GraphModule) -> str:
    """The name of the node that the layer of the first answer takes: what the network knows of an example.

    The answer itself, where no layer makes it.
    """
    layer = _answering_layer(module)
    source = layer.all_input_nodes[0] if layer is not None else _first_answer(module)
    return source.name


def values_of(module: fx.GraphModule, inputs: Sequence[Tensor]) -> list[Value]:
    """What layers, activations and sums give, in order, up to the layer of the first answer.

    A value that only goes into an activation or a norm is left out for that one's.
    """
    tensors = _Recorder(module).record(inputs)
    chosen = _within(module, {node for node in tensors if _is_value(module, node, len(inputs[0]), tensors[node])})
    return [Value(n.name, tuple(tensors[n].shape[1:]), _channel_axis(module, n, tensors[n].ndim)) for n in chosen]


class _Recorder(fx.Interpreter):
    def record(self, inputs: Sequence[Tensor]) -> dict[fx.Node, Tensor]:
        self._tensors: dict[fx.Node, Tensor] = {}
        with torch.no_grad():
            self.run(*inputs)
        return self._tensors

    def run_node(self, n: fx.Node) -> Any:
        answer = super().run_node(n)
        if isinstance(answer, Tensor) and n.op.startswith("call"):
            self._tensors[n] = answer
        return answer


def _is_value(module: fx.GraphModule, node: fx.Node, batch: int, tensor: Tensor) -> bool:
    by_example = tensor.is_floating_point() and tensor.ndim >= 2 and len(tensor) == batch
    return by_example and (_layer(module, node) is not None or node.target in _ADDITIONS)


def _within(module: fx.GraphModule, values: Collection[fx.Node]) -> list[fx.Node]:
    last = _answering_layer(module)
    before = []
    for node in module.graph.nodes:
        if node is last:
            break
        if node in values and not _only_goes_on(module, node):
            before.append(node)
    return before


def _only_goes_on(module: fx.GraphModule, node: fx.Node) -> bool:
    readers = list(node.users)
    layer = _layer(module, readers[0]) if len(readers) == 1 else None
    return layer is not None and type(layer).__module__ in _FOLLOWING


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The layer or activation that the node's value comes from; a recurrent one answers with a tuple."""
    if node.target is operator.getitem and node.args[1] == 0 and isinstance(node.args[0], fx.Node):
        layer = _layer(module, node.args[0])
        return layer if isinstance(layer, nn.RNNBase) else None
    if node.op != "call_module":
        return None
    layer = module.get_submodule(str(node.target))
    weighted = any(True for _ in layer.parameters())
    return layer if weighted or type(layer).__module__ == "torch.nn.modules.activation" else None


def _channel_axis(module: fx.GraphModule, node: fx.Node, dimensions: int) -> int:
    """As the nearest weighted layer before the node has it."""
    while node.all_input_nodes:
        layer = _layer(module, node)
        if layer is not None and any(True for _ in layer.parameters()):
            return 1 if isinstance(layer, _CHANNELS_SECOND) else dimensions - 1
        node = node.all_input_nodes[0]
    return dimensions - 1


def _answering_layer(module: fx.GraphModule) -> fx.Node | None:
    node = _first_answer(module)
    while node.all_input_nodes:
        layer = _layer(module, node) if node.op == "call_module" else None
        if layer is not None and any(True for _ in layer.parameters()):
            return node
        node = node.all_input_nodes[0]
    return None


def _first_answer(module: fx.GraphModule) -> fx.Node:
    output: fx.Node = next(node for node in module.graph.nodes if node.op == "output")
    return output.all_input_nodes[0]
