"""Writes in place become plain operators where nothing else can see the difference.

A write stays as it is when another name of the same memory (a view, or what it was viewed from) is read later: such
an operator is marked as impure by its schema, so that removing dead code leaves it alone.
"""

import operator
from typing import Any

import torch
from torch import fx

from worker.loading.lifting.call import is_operator, operator_name

SOMETIMES_THE_SAME = ("aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::feature_alpha_dropout")


def without_mutations(graph: fx.Graph) -> None:
    """Replaces each harmless write in `graph` by the operator that makes a new tensor."""
    for node in list(graph.nodes):
        if not (is_operator(node) and node.target._schema.is_mutable):
            continue
        target = _functional(node)
        if target is None:
            continue
        written = node.args[0]
        later = _read_after(graph, node)
        others = _names_of_same_memory(written, besides=node) - {written, node}
        if written.op != "get_attr" and not (others & later):
            _replace(node, written, target, later)


def _replace(node: fx.Node, written: fx.Node, target: Any, later: set[fx.Node]) -> None:
    node.target = target
    if written in later:
        position = {one: index for index, one in enumerate(node.graph.nodes)}
        written.replace_all_uses_with(node, delete_user_cb=lambda user: position[user] > position[node])


def _functional(node: fx.Node) -> Any:
    """The operator without the trailing underscore and with the same arguments, or None."""
    schema = node.target._schema  # type: ignore[union-attr]
    name = schema.name.removeprefix("aten::")
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    overload = getattr(packet, schema.overload_name or "default", None)
    if not name.endswith("_") or name.endswith("__") or overload is None or not isinstance(node.args[0], fx.Node):
        return None
    same = [str(one.type) for one in overload._schema.arguments] == [str(one.type) for one in schema.arguments]
    return overload if same and not overload._schema.is_mutable else None


def _read_after(graph: fx.Graph, node: fx.Node) -> set[fx.Node]:
    """What is read by the nodes that follow."""
    read: set[fx.Node] = set()
    for one in reversed(graph.nodes):
        if one is node:
            break
        read.update(one.all_input_nodes)
    return read


def _names_of_same_memory(node: fx.Node, besides: fx.Node) -> set[fx.Node]:
    """Views of `node` and what it views, but nothing that comes from `besides`: that will be a tensor of its own."""
    found, waiting = {besides}, [node]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        waiting.extend(user for user in one.users if one in _may_alias(user))
        waiting.extend(_may_alias(one))
    return found


def _may_alias(node: fx.Node) -> list[fx.Node]:
    """The arguments whose memory the node's value may be."""
    if node.target is operator.getitem:
        return [one for one in node.all_input_nodes if _may_alias(one)]
    if not is_operator(node):
        return []
    returns_view = any(value.alias_info is not None for value in node.target._schema.returns)  # type: ignore[union-attr]
    if returns_view or operator_name(node).removesuffix("_") in SOMETIMES_THE_SAME:
        return [one for one in node.args[:1] if isinstance(one, fx.Node)]
    return []
