"""Residual blocks: a sum of a branch and of what the branch began with, as it is or through a shortcut."""

import operator
from collections.abc import Iterator

import torch
from torch import fx

from worker.blocks.block import Block
from worker.blocks.graph import Graph

ADDITIONS = (torch.add, operator.add, operator.iadd, "add", "add_")


def residual_blocks(graph: Graph) -> Iterator[Block]:
    for node in graph.nodes:
        if node.target in ADDITIONS and _is_plain(graph, node):
            first, second = node.all_input_nodes
            block = _block(graph, node, first, second) or _block(graph, node, second, first)
            if block is not None:
                yield block


def _is_plain(graph: Graph, node: fx.Node) -> bool:
    """Both operands are of the sum's own shape, and nothing is multiplied."""
    operands = node.args
    return (
        len(operands) == 2
        and not node.kwargs
        and all(isinstance(one, fx.Node) and graph.alike(one, node) for one in operands)
        and operands[0] is not operands[1]
    )


def _block(graph: Graph, total: fx.Node, branch: fx.Node, kept: fx.Node) -> Block | None:
    """The branch goes, `kept` stays: the branch's own beginning, or a shortcut beside it."""
    begun = kept if kept in graph.before(branch) else _common_beginning(graph, branch, kept)
    if begun is None:
        return None
    inside = (graph.before(branch) | {branch}) & graph.after(begun) - graph.before(kept) - {kept}
    layers = graph.weighted(inside)
    if not layers or not graph.is_closed(inside, total):
        return None
    if begun is not kept and not _is_shortcut(graph, begun, kept, layers):
        return None
    return Block("residual block", kept, total, layers)


def _common_beginning(graph: Graph, branch: fx.Node, kept: fx.Node) -> fx.Node | None:
    """The last value that both come from."""
    common = graph.before(branch) & graph.before(kept)
    floats = [node for node in graph.nodes if node in common and graph.is_floating(node)]
    return floats[-1] if floats else None


def _is_shortcut(graph: Graph, begun: fx.Node, kept: fx.Node, layers: tuple[str, ...]) -> bool:
    """One convolution or linear layer beside a branch of several."""
    beside = (graph.before(kept) | {kept}) & graph.after(begun)
    return graph.multiplying(graph.weighted(beside)) <= 1 < graph.multiplying(layers)
