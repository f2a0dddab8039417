"""From a graph of aten operators to a network of modules.

    graph of operators -> plain signature -> sizes as numbers -> writes in place resolved
                       -> layers planned, placed and written -> all other operators written as torch functions
                       -> the tree of modules

The same road serves TorchScript archives (through `worker.loading.importing`) and `torch.export` programs.
"""

from torch import fx

from worker.loading.lifting import (  # noqa: F401  each registers its rules
    activations,
    attention,
    convolutions,
    dropout,
    embeddings,
    linear,
    normalizations,
    pooling,
    recurrent,
    resizing,
    shapes,
)
from worker.loading.lifting.assembly import assembled
from worker.loading.lifting.assertions import without_assertions
from worker.loading.lifting.inlining import with_blocks_inlined
from worker.loading.lifting.mutations import without_mutations
from worker.loading.lifting.numbers import without_numbers_in_tensors
from worker.loading.lifting.placement import Placement
from worker.loading.lifting.rewriting import planned, without_dead_code, write_functions, write_layers
from worker.loading.lifting.signature import plain_graph, stored_tensors

__all__ = ["lift"]


def lift(graph_module: fx.GraphModule) -> fx.GraphModule:
    """A trainable network with the same parameters under the same names, from a graph of aten operators.

    `graph_module` holds `torch.ops.aten` calls on inputs and on parameters read by their path, with example values
    in `meta["val"]`. The network takes the inputs in order, any batch, and answers tuples, lists and dicts. It is in
    evaluation mode and shares the parameters with `graph_module`. `network.meta["renamed"]` maps the new names to
    the old ones for the few tensors that had to move (an attention's `in_proj_weight`).

    Raises `Unsupported` for control flow that the graph holds as a subgraph.
    """
    graph = plain_graph(graph_module)
    with_blocks_inlined(graph, graph_module)
    stored = stored_tensors(graph_module, graph)
    without_assertions(graph)
    without_numbers_in_tensors(graph, stored)
    without_mutations(graph)
    layers = planned(graph, stored)
    placement = Placement(stored, layers)
    write_layers(graph, layers, placement)
    write_functions(graph, stored)
    without_dead_code(graph)
    return assembled(graph, placement, stored, graph_module).eval()
