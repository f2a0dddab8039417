"""Writes in place become plain operators, so that every tracer and exporter follows them.

A write through a view becomes a new tensor of the whole, and what reads any view of it later reads the same view of
the new one. A write stays as it is where it can't be known what it changes (a `reshape` may have copied or not): such
an operator is marked as impure by its schema, so that removing dead code leaves it alone.
"""

import itertools
import operator
from typing import Any

import torch
from torch import Tensor, fx

from worker.loading.lifting.call import example_of, is_operator, operator_name, shape_of
from worker.loading.lifting.views import Write, is_view, put_back, viewed, writer

aten = torch.ops.aten
SOMETIMES_THE_SAME = ("aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::feature_alpha_dropout")
FILLS = ("aten::copy_", "aten::fill_", "aten::zero_")


def without_mutations(graph: fx.Graph) -> None:
    """Replaces each write in `graph` by the operator that makes a new tensor, where that is certain to be the same."""
    for node in list(graph.nodes):
        if is_operator(node) and node.target._schema.is_mutable and isinstance(node.args[0], fx.Node):
            _resolve(graph, node, node.args[0])


def _resolve(graph: fx.Graph, node: fx.Node, written: fx.Node) -> None:
    later = _read_after(graph, node)
    stale = (_names_of_same_memory(written, besides=node) - {written}) & later & _written_before(graph, node)
    chain = _chain_of_views(written)
    base = chain[-1]
    if not _is_known(node) or base.op == "get_attr" or any(_chain_of_views(name)[-1] is not base for name in stale):
        return
    with graph.inserting_before(node):
        write = writer(graph)
        fresh = {written: _functional(write, node)}
        if stale:
            fresh = {base: _put_back_all(write, chain, fresh[written])}
        replaced = {name: _viewed_again(graph, name, fresh) for name in graph.nodes if name in stale | {written}}
    _read_instead(node, replaced)
    node.replace_all_uses_with(replaced[written])
    graph.erase_node(node)


def _put_back_all(write: Write, chain: list[fx.Node], value: fx.Node) -> fx.Node:
    """The last of the chain, as it is when the first one has become `value`."""
    for view in chain[:-1]:
        value = put_back(write, view, value)
    return value


def _viewed_again(graph: fx.Graph, name: fx.Node, fresh: dict[fx.Node, fx.Node]) -> fx.Node:
    """`name` itself, or the same view as it of a fresh tensor. Keeps what it makes in `fresh`."""
    if name not in fresh:
        source = name.args[0]
        assert isinstance(source, fx.Node)
        again = _viewed_again(graph, source, fresh)
        fresh[name] = graph.node_copy(name, lambda one: again if one is source else one)
    return fresh[name]


def _read_instead(node: fx.Node, fresh: dict[fx.Node, fx.Node]) -> None:
    """In what follows `node`."""
    position = {one: index for index, one in enumerate(node.graph.nodes)}
    for name, replacement in fresh.items():
        name.replace_all_uses_with(replacement, delete_user_cb=lambda user: position[user] > position[node])


def _chain_of_views(node: fx.Node) -> list[fx.Node]:
    """The node, what it is a view of, what that is a view of, and so on."""
    chain = [node]
    while is_view(chain[-1]):
        chain.append(viewed(chain[-1]))
    return chain


def _is_known(node: fx.Node) -> bool:
    return operator_name(node) in FILLS or _without_underscore(node) is not None


def _functional(write: Write, node: fx.Node) -> fx.Node:
    """What the write makes of the tensor, as a new one."""
    if operator_name(node) in FILLS:
        value = node.args[1] if len(node.args) > 1 else 0
        return _filled(write, node.args[0], value)
    target = _without_underscore(node)
    return write(target, *node.args, **node.kwargs)


def _filled(write: Write, tensor: Any, value: Any) -> fx.Node:
    """`value` has as many elements as `tensor`, or can be expanded to it."""
    if not isinstance(value, fx.Node) or not isinstance(example_of(value), Tensor):
        return write(aten.full_like.default, tensor, value)
    if example_of(value).dtype != example_of(tensor).dtype:
        value = write(aten.to.dtype, value, example_of(tensor).dtype)
    return value if shape_of(value) == shape_of(tensor) else write(aten.expand_as.default, value, tensor)


def _without_underscore(node: fx.Node) -> Any:
    """The operator that takes the same arguments and makes a new tensor, or None."""
    schema = node.target._schema  # type: ignore[union-attr]
    name = schema.name.removeprefix("aten::")
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    overload = getattr(packet, schema.overload_name or "default", None)
    if not name.endswith("_") or name.endswith("__") or overload is None:
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


def _written_before(graph: fx.Graph, node: fx.Node) -> set[fx.Node]:
    return set(itertools.takewhile(lambda one: one is not node, graph.nodes))


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
