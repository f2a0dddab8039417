"""Blocks such as `no_grad` in an exported program: their operators move to where the block is called.

What the block switches off is training through it, so the network trains through it now.
"""

import operator

import torch
from torch import fx

BLOCKS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}  # name -> arguments before the block itself


def with_blocks_inlined(graph: fx.Graph, owner: torch.nn.Module) -> None:
    for node in list(graph.nodes):
        before = BLOCKS.get(getattr(node.target, "__name__", ""))
        if node.op == "call_function" and before is not None:
            _inline(graph, node, owner, before)


def _inline(graph: fx.Graph, node: fx.Node, owner: torch.nn.Module, before: int) -> None:
    block, *inputs = node.args[before:]
    assert isinstance(block, fx.Node)
    body = owner.get_submodule(str(block.target))
    assert isinstance(body, fx.GraphModule)
    values = dict(zip(body.graph.find_nodes(op="placeholder"), inputs, strict=True))
    with graph.inserting_before(node):
        answers = graph.graph_copy(body.graph, values)
    for reader in list(node.users):
        if reader.target is operator.getitem:
            reader.replace_all_uses_with(answers[reader.args[1]])  # type: ignore[index, arg-type]
            graph.erase_node(reader)
    graph.erase_node(node)
    if not block.users:
        graph.erase_node(block)
