"""Builds the tree of modules that the rewritten graph calls."""

from collections.abc import Collection, Mapping

from torch import Tensor, fx, nn

from worker.loading.lifting.layer import Layer
from worker.loading.lifting.placement import Placement
from worker.tree import graph_module, put_module, put_tensor


def assembled(
    graph: fx.Graph, placement: Placement, stored: Mapping[str, Tensor], source: fx.GraphModule
) -> fx.GraphModule:
    """The network. `meta["renamed"]` says which tensors changed their name (new -> old) because of a new layer."""
    root = nn.Module()
    for path, layer in placement.modules.items():
        put_module(root, path, _filled(layer, path, stored, source.meta.get("frozen", frozenset())))
    renamed = _renamed(graph, placement)
    fleeting = _fleeting_buffers(source)
    gone = _turned_into_settings(graph, placement, stored, source) | set(renamed.values())
    for path, tensor in stored.items():
        owner = path.rpartition(".")[0]
        if owner not in placement.modules and path not in gone:
            put_tensor(root, path, tensor, path not in fleeting)
    network = graph_module(root, graph)
    network.meta["renamed"] = renamed
    return network


def _filled(layer: Layer, path: str, stored: Mapping[str, Tensor], frozen: Collection[str]) -> nn.Module:
    """The layer with its tensors. What freezing turned into constants becomes a layer's parameters again."""
    for name, source in layer.owned.items():
        thaws = source in frozen and name in layer.module._parameters
        put_tensor(layer.module, name, nn.Parameter(stored[source]) if thaws else stored[source])
    if "num_batches_tracked" in layer.module._buffers:
        layer.module.register_buffer("num_batches_tracked", stored.get(f"{path}.num_batches_tracked"))
    return layer.module


def _read(graph: fx.Graph) -> set[str]:
    return {str(node.target) for node in graph.find_nodes(op="get_attr")}


def _turned_into_settings(
    graph: fx.Graph, placement: Placement, stored: Mapping[str, Tensor], source: fx.GraphModule
) -> set[str]:
    """Constants that the graph read before and doesn't now, such as a number in a tensor."""
    in_layers = {path for layer in placement.modules.values() for path in layer.owned.values()}
    no_longer_read = (_read(source.graph) & stored.keys()) - _read(graph) - in_layers
    return {path for path in no_longer_read if not isinstance(stored[path], nn.Parameter)}


def _renamed(graph: fx.Graph, placement: Placement) -> dict[str, str]:
    still_read = _read(graph)
    moves = {
        f"{path}.{name}": source for path, layer in placement.modules.items() for name, source in layer.owned.items()
    }
    return {new: old for new, old in moves.items() if old not in still_read and old not in moves}


def _fleeting_buffers(source: nn.Module) -> set[str]:
    """Buffers that a state dict leaves out."""
    kept = source.state_dict(keep_vars=True)
    return {path for path, _ in source.named_buffers(remove_duplicate=False) if path not in kept}
