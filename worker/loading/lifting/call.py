"""One operator call of an aten graph, read by the names of the operator's schema."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx


def is_operator(node: fx.Node) -> bool:
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload)


def operator_name(node: fx.Node) -> str:
    """`aten::conv2d` for an operator's call, an empty text for every other node."""
    return str(node.target._schema.name) if is_operator(node) else ""  # type: ignore[union-attr]


class Call:
    """Gives the arguments of `node` by name, defaults filled in, and the stored tensors behind them."""

    def __init__(self, node: fx.Node, stored: dict[str, Tensor]) -> None:
        self.node = node
        self.name = operator_name(node)
        self._stored = stored

    @functools.cached_property
    def arguments(self) -> dict[str, Any]:
        parameters = self.node.target._schema.arguments  # type: ignore[union-attr]
        named = {one.name: one.default_value if one.has_default_value() else None for one in parameters}
        named.update(zip(named, self.node.args, strict=False))
        named.update(self.node.kwargs)
        return named

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def __contains__(self, argument: str) -> bool:
        return argument in self.arguments

    def to(self, node: fx.Node) -> "Call":
        """Another call in the same graph."""
        return Call(node, self._stored)

    def is_stored(self, argument: Any) -> bool:
        """Whether this is a parameter or a buffer itself, and not computed."""
        return isinstance(argument, fx.Node) and argument.op == "get_attr" and argument.target in self._stored

    def stored(self, argument: Any) -> Tensor:
        return self._stored[str(argument.target)]

    def are_stored(self, *arguments: Any) -> bool:
        """Whether each is a parameter, a buffer or left out."""
        return all(argument is None or self.is_stored(argument) for argument in arguments)

    def are_constant(self, *names: str) -> bool:
        """Whether no setting among these was computed from the input's sizes."""
        return not any(has_node(self[name]) for name in names)


def has_node(argument: Any) -> bool:
    if isinstance(argument, list | tuple):
        return any(has_node(one) for one in argument)
    return isinstance(argument, fx.Node)


def example_of(argument: Any) -> Any:
    """The value that a node had for the example inputs (tensors without data), or the constant itself."""
    return argument.meta.get("val") if isinstance(argument, fx.Node) else argument


def shape_of(argument: Any) -> tuple[Any, ...]:
    """A tensor's example shape; empty if it isn't known."""
    return tuple(getattr(example_of(argument), "shape", ()))


def repeated(setting: Sequence[int], dimensions: int) -> tuple[int, ...]:
    """A setting given once for all dimensions, written out for each."""
    return tuple(setting) * dimensions if len(setting) == 1 else tuple(setting)
