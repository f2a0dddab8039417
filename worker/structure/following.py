"""Follows a recurrent layer's hidden units through a network to everything that reads them.

While the network answers a small input, a second tensor goes along with each value that depends on the units: its
*labels* say which unit stands at each place (counted from 1; 0 where there is none). What only moves values about
(reshaping, choosing, joining) moves labels in the same way; what reads them (a linear layer, the next recurrent one)
tells which columns of its weights belong to which unit. Whatever else they meet can't be followed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map

Labels = Any  # of a value's structure: a tensor, or nested tuples of them; None where no unit is


class NotFollowed(Exception):
    """The units reach something that isn't known to keep them apart. The text says what and where."""


@dataclass(frozen=True)
class Use:
    """Along `dim` of the tensor `name` of the module `owner` stand units: `units[i]` at position i, 0 for none."""

    owner: str
    name: str
    dim: int
    units: Tensor


@dataclass
class Followed:
    """`uses` are by the layer that reads units, `calls` say how often. `reshaped` and `sliced` are nodes that may
    hold sizes and bounds as numbers, with the labels of their answer and of what they cut."""

    uses: dict[str, list[Use]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    reshaped: dict[fx.Node, Tensor] = field(default_factory=dict)
    sliced: dict[fx.Node, Tensor] = field(default_factory=dict)

    def read(self, owner: str, uses: list[Use]) -> None:
        """Raises NotFollowed where an earlier call of the same layer read other units at the same places."""
        known = self.uses.setdefault(owner, uses)
        if not all(torch.equal(one.units, other.units) for one, other in zip(known, uses, strict=True)):
            raise NotFollowed(f"`{owner}` is called several times and reads other units each time")
        self.calls[owner] = self.calls.get(owner, 0) + 1


@dataclass(frozen=True)
class Call:
    """A node that reads units: its arguments with labels in place of labelled values, and its value."""

    follower: "Follower"
    node: fx.Node
    arguments: Any
    value: Any


Rule = Callable[[Call], Labels]  # answers with the labels of the call's value
LAYER_RULES: dict[type[nn.Module], Rule] = {}
FUNCTION_RULES: dict[str, Rule] = {}


class Follower(fx.Interpreter):
    """`source` is the name of the layer whose units are followed, `emitted` gives its answer's labels."""

    def __init__(self, module: fx.GraphModule, source: str, emitted: Callable[[Any], Labels]) -> None:
        super().__init__(module)
        self.source, self.emitted = source, emitted
        self.followed = Followed()
        self.labels: dict[fx.Node, Labels] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        labels = self._labels(n, value)
        if labels is not None and any(_labelled(leaf) for leaf in tree_leaves(labels)):
            self.labels[n] = labels
        return value

    def labels_or_values(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, lambda node: self.labels.get(node, self.env[node]))

    def is_labelled(self, argument: Any) -> bool:
        return isinstance(argument, fx.Node) and argument in self.labels

    def _labels(self, node: fx.Node, value: Any) -> Labels:
        carriers = [one for one in node.all_input_nodes if one in self.labels]
        if node.op == "call_module" and node.target == self.source:
            if carriers:
                raise NotFollowed(f"`{self.source}` reads its own units")
            return self.emitted(value)
        if not carriers:
            return None
        if not node.args:
            raise NotFollowed(f"{node.name} is called in an unusual way")
        return self._rule(node)(Call(self, node, self.labels_or_values(node.args), value))

    def _rule(self, node: fx.Node) -> Rule:
        if node.op == "output":
            raise NotFollowed("the network answers with its units, whose number would change")
        if node.op == "call_module":
            layer = self.fetch_attr(str(node.target))
            rule = next((LAYER_RULES[kind] for kind in type(layer).__mro__ if kind in LAYER_RULES), None)
            what = f"`{node.target}` ({type(layer).__name__})"
        else:
            what = function_name(node)
            rule = FUNCTION_RULES.get(what.removesuffix("_"))
        if rule is None:
            raise NotFollowed(f"its units reach {what}, through which they can't be followed")
        return rule


def function_name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else str(getattr(node.target, "__name__", node.target))


def _labelled(labels: Any) -> bool:
    return isinstance(labels, Tensor) and bool(labels.any())


def unlabelled(value: Any) -> Labels:
    return tree_map(lambda leaf: torch.zeros(leaf.shape, dtype=torch.int64), value)


def varies(labels: Tensor, dim: int) -> bool:
    """Whether different units stand along that dimension."""
    return bool((labels != labels.narrow(dim, 0, 1)).any())


def along(labels: Tensor, dim: int, what: str) -> Tensor:
    """The units along one dimension, which must be the same whatever the others are. Raises NotFollowed."""
    moved = labels.movedim(dim, 0).flatten(1)
    if bool((moved != moved[:, :1]).any()):
        raise NotFollowed(f"{what} reads several units as one")
    return moved[:, 0]
