"""All blocks of a network that can be left out, apart from each other."""

from collections.abc import Iterable, Sequence

from torch import Tensor, fx

from worker.blocks.block import Block
from worker.blocks.graph import Graph
from worker.blocks.repeated import recurrent_levels, repeated_layers
from worker.blocks.residual import residual_blocks


def find_blocks(module: fx.GraphModule, inputs: Sequence[Tensor]) -> list[Block]:
    """In the graph's order; `inputs` are a small batch. Of blocks inside of others, those inside of the fewest stay:
    a residual block before the layers that it consists of, and the inner one of two."""
    graph = Graph(module, inputs)
    residual = _apart(sorted(residual_blocks(graph), key=lambda block: len(block.layers)), shared=())
    repeated = _apart(repeated_layers(graph), shared=_layers(residual))
    order = {node: position for position, node in enumerate(graph.nodes)}
    return sorted(
        [*residual, *repeated, *recurrent_levels(graph)], key=lambda block: (order[block.exit], block.level or 0)
    )


def _apart(blocks: Iterable[Block], shared: Iterable[str]) -> list[Block]:
    """Without those that share a layer with an earlier one."""
    taken, apart = set(shared), []
    for block in blocks:
        if taken.isdisjoint(block.layers):
            taken.update(block.layers)
            apart.append(block)
    return apart


def _layers(blocks: Iterable[Block]) -> set[str]:
    return {layer for block in blocks for layer in block.layers}
