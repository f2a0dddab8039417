"""All parts of an archive as one graph, for techniques that weigh layers of a whole network against each other."""

from dataclasses import replace

from torch import fx, nn
from torch.utils._pytree import tree_leaves

from worker.network import Network
from worker.tree import graph_module, put_module

_PART = "part"


def joined(network: Network) -> Network:
    """The parts side by side, layers under their names in the whole: takes what all of them take, in order, and
    answers what all of them answer."""
    root, graph, answers = nn.Module(), fx.Graph(), []
    for part in network.parts:
        put_module(root, part.path, part.module)
        answers += _appended(graph, part.module.graph, part.path)
    graph.output(tuple(answers))
    batches = network.parts[0].calls
    calls = {batch: tuple(one for part in network.parts for one in part.examples(batch)) for batch in batches}
    return replace(network, module=graph_module(root, graph).eval(), calls=calls)


def separated(network: Network, side_by_side: fx.GraphModule) -> Network:
    """`network` with the parts as they are in `side_by_side`, which came from `joined`."""
    for part in network.parts:
        module = graph_module(side_by_side.get_submodule(part.path), _graph_of(side_by_side.graph, part.path))
        module.meta.update(part.module.meta)
        network = network.with_part(part.path, module.eval())
    return network


def _appended(graph: fx.Graph, source: fx.Graph, path: str) -> list[fx.Node]:
    """`source` at the end of `graph`; what it answers."""
    copies: dict[fx.Node, fx.Node] = {}
    for node in source.nodes:
        if node.op == "output":
            return [copies[one] for one in tree_leaves(node.args[0])]
        copy = graph.node_copy(node, copies.__getitem__)
        copy.meta[_PART] = path
        if node.op in ("call_module", "get_attr"):
            copy.target = f"{path}.{node.target}"
        elif node.op == "placeholder":
            copy.target = copy.name
        copies[node] = copy
    raise AssertionError("a graph has an output")


def _graph_of(graph: fx.Graph, path: str) -> fx.Graph:
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node.meta.get(_PART) != path:
            continue
        copies[node] = part.node_copy(node, copies.__getitem__)
        if node.op in ("call_module", "get_attr"):
            copies[node].target = str(node.target).removeprefix(f"{path}.")
    answers = next(reversed(graph.nodes)).args[0]
    mine = [copies[one] for one in tree_leaves(answers) if one in copies]
    part.output(mine[0] if len(mine) == 1 else tuple(mine))
    return part
