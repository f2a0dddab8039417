"""A copy of an aten graph that takes tensors in order and answers plain tuples, lists and dicts of them."""

from collections import namedtuple
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from worker.loading.unsupported import Unsupported

PLAIN = (tuple, list, dict)


def plain_graph(graph_module: fx.GraphModule) -> fx.Graph:
    graph = fx.Graph()
    answer = graph.graph_copy(graph_module.graph, {})
    graph.output(_unflattened(answer, getattr(graph_module, "_out_spec", None)))
    for node in graph.nodes:
        node.meta = dict(node.meta)
    return graph


def _unflattened(answer: Any, spec: pytree.TreeSpec | None) -> Any:
    if spec is None:
        return answer
    leaves = list(answer)
    return _plain(leaves, spec) if _is_plain(spec) else tuple(leaves)


def _is_plain(spec: pytree.TreeSpec) -> bool:
    return spec.is_leaf() or (_kind(spec) is not None and all(_is_plain(child) for child in spec.children()))


def _kind(spec: pytree.TreeSpec) -> type | None:
    """Which of the plain structures this is; named tuples are marked by the function that makes them."""
    if not isinstance(spec.type, type):
        return tuple if spec.type is namedtuple else None
    return next((kind for kind in PLAIN if issubclass(spec.type, kind)), None)


def _plain(leaves: list[Any], spec: pytree.TreeSpec) -> Any:
    """The leaves in the structure of `spec`, subclasses such as named tuples made plain; uses the leaves up."""
    if spec.is_leaf():
        return leaves.pop(0)
    children = [_plain(leaves, child) for child in spec.children()]
    if _kind(spec) is dict:
        return dict(zip(spec.context, children, strict=True))
    return children if _kind(spec) is list else tuple(children)


def stored_tensors(graph_module: fx.GraphModule, graph: fx.Graph) -> dict[str, Tensor]:
    """Every parameter and buffer by its path, names of shared ones included, and the constants that the graph reads."""
    tensors: dict[str, Tensor] = dict(graph_module.named_parameters(remove_duplicate=False))
    tensors |= dict(graph_module.named_buffers(remove_duplicate=False))
    for node in graph.find_nodes(op="get_attr"):
        if node.target not in tensors:
            tensors[node.target] = _constant(graph_module, node)
    return tensors


def _constant(graph_module: fx.GraphModule, node: fx.Node) -> Tensor:
    value: Any = graph_module
    for name in str(node.target).split("."):
        value = getattr(value, name)
    if not isinstance(value, torch.Tensor):
        raise Unsupported(
            "control flow",
            str(node.target),
            "a branch or loop that depends on the data can't be edited; move it out of the network.",
        )
    return value
