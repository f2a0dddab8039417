"""Repeated layers: chains of layers that answer in the shape of what they read, and levels of a recurrent stack."""

import operator
from collections.abc import Iterator

from torch import fx, nn

from worker.blocks.block import Block
from worker.blocks.graph import Graph

MOST_LAYERS = 4  # that multiply, in one chain


def repeated_layers(graph: Graph) -> Iterator[Block]:
    for node in graph.nodes:
        if graph.multiplies(node) and not isinstance(graph.layer(node), nn.RNNBase):
            block = _chain_from(graph, node)
            if block is not None:
                yield block


def _chain_from(graph: Graph, first: fx.Node) -> Block | None:
    """The shortest run of layers that keeps the shape, with the activations and norms behind it."""
    begun = first.args[0]
    if not isinstance(begun, fx.Node) or begun.op == "placeholder":
        return None
    inside: list[fx.Node] = []
    end = None
    for node in _path_from(first):
        if graph.multiplies(node) and (end is not None or sum(map(graph.multiplies, inside)) == MOST_LAYERS):
            break
        inside.append(node)
        end = node if graph.alike(begun, node) else end
    if end is None or _answers(end):
        return None
    return Block("repeated layer", begun, end, graph.weighted(inside[: inside.index(end) + 1]))


def _path_from(node: fx.Node) -> Iterator[fx.Node]:
    """The node and those behind it, as long as each is read by the next alone, and that reads nothing else."""
    yield node
    while len(node.users) == 1:
        node, before = next(iter(node.users)), node
        if node.op == "output" or node.all_input_nodes != [before]:
            return
        yield node


def _answers(node: fx.Node) -> bool:
    """A network's last layer isn't a repeated one, even where its answer has the shape of what it read."""
    return any(user.op == "output" for user in node.users)


def recurrent_levels(graph: Graph) -> Iterator[Block]:
    """All but the first, which reads something of another width."""
    for node in graph.nodes:
        layer = graph.layer(node)
        if not isinstance(layer, nn.RNNBase) or len(graph.calls(layer)) > 1:
            continue
        if _is_read_for_outputs_alone(node):
            for level in range(1, layer.num_layers):
                yield Block("recurrent level", node, node, (str(node.target),), level)


def _is_read_for_outputs_alone(node: fx.Node) -> bool:
    """Its state has a place for each level, and so would a given first one."""
    readers = [user for user in node.users if user.target is operator.getitem]
    return len(node.args) == 1 and len(readers) == len(node.users) and all(user.args[1] == 0 for user in readers)
