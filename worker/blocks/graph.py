"""A graph with what is known of its values after one run: who comes before whom, and what has which shape."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn

MULTIPLYING = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


class _Shapes(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, tuple[torch.Size, torch.dtype]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.found[n] = value.shape, value.dtype
        return value


@dataclass(frozen=True)
class Graph:
    """Shapes are those of a run on `inputs`."""

    module: fx.GraphModule
    inputs: Sequence[Tensor]
    _before: dict[fx.Node, frozenset[fx.Node]] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[fx.Node]:
        return list(self.module.graph.nodes)

    @cached_property
    def _shapes(self) -> dict[fx.Node, tuple[torch.Size, torch.dtype]]:
        shapes = _Shapes(self.module)
        with torch.no_grad():
            shapes.run(*self.inputs)
        return shapes.found

    def alike(self, one: fx.Node, other: fx.Node) -> bool:
        """Floating tensors of one shape and dtype."""
        return self.is_floating(one) and self._shapes[one] == self._shapes.get(other)

    def is_floating(self, node: fx.Node) -> bool:
        return node in self._shapes and self._shapes[node][1].is_floating_point

    def before(self, node: fx.Node) -> frozenset[fx.Node]:
        """All that the node's value comes from."""
        if node not in self._before:
            for one in self.nodes:
                inputs = one.all_input_nodes
                self._before[one] = frozenset(inputs).union(*(self._before[each] for each in inputs))
        return self._before[node]

    def after(self, node: fx.Node) -> set[fx.Node]:
        return {one for one in self.nodes if node in self.before(one)}

    def is_closed(self, inside: Collection[fx.Node], exit_: fx.Node) -> bool:
        """Whether no tensor of the block is read elsewhere. Sizes may be: they don't depend on weights."""
        tensors = (node for node in inside if node in self._shapes)
        return all(user is exit_ or user in inside for node in tensors for user in node.users)

    def layer(self, node: fx.Node) -> nn.Module | None:
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def calls(self, layer: nn.Module) -> list[fx.Node]:
        return [node for node in self.nodes if self.layer(node) is layer]

    def multiplies(self, node: fx.Node) -> bool:
        return isinstance(self.layer(node), MULTIPLYING)

    def weighted(self, nodes: Collection[fx.Node]) -> tuple[str, ...]:
        """Layers with parameters among the nodes, in the graph's order."""
        called = (node for node in self.nodes if node in nodes and node.op == "call_module")
        return tuple(dict.fromkeys(str(n.target) for n in called if any(True for _ in self.layer(n).parameters())))  # type: ignore[union-attr]

    def multiplying(self, layers: Sequence[str]) -> int:
        return sum(isinstance(self.module.get_submodule(name), MULTIPLYING) for name in layers)
