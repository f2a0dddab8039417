"""Builds the tree of modules that the rewritten graph calls."""

from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn

from worker.loading.lifting.layer import Layer
from worker.loading.lifting.placement import Placement


def assembled(
    graph: fx.Graph, placement: Placement, stored: Mapping[str, Tensor], source: fx.GraphModule
) -> fx.GraphModule:
    """The network. `meta["renamed"]` says which tensors changed their name (new -> old) because of a new layer."""
    root = nn.Module()
    for path, layer in placement.modules.items():
        _put_module(root, path, _filled(layer, path, stored))
    renamed = _renamed(graph, placement)
    fleeting = _fleeting_buffers(source)
    gone = _turned_into_settings(graph, placement, stored, source) | set(renamed.values())
    for path, tensor in stored.items():
        owner = path.rpartition(".")[0]
        if owner not in placement.modules and path not in gone:
            _put_tensor(_container(root, owner), path.rpartition(".")[2], tensor, path not in fleeting)
    network = fx.GraphModule(root, graph)
    for name, child in root.named_children():
        network.add_module(name, child)
    for name, tensor in _own_tensors(root).items():
        _put_tensor(network, name, tensor, name not in fleeting)
    network.meta["renamed"] = renamed
    return network


def _filled(layer: Layer, path: str, stored: Mapping[str, Tensor]) -> nn.Module:
    for name, source in layer.owned.items():
        _put_tensor(layer.module, name, stored[source])
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
    no_longer_read = _read(source.graph) - _read(graph) - in_layers
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


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    own = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None}


def _put_tensor(module: nn.Module, name: str, tensor: Tensor, persistent: bool = True) -> None:
    """A buffer stays a buffer, even as a layer's weight: it must not be trained."""
    if isinstance(tensor, nn.Parameter):
        setattr(module, name, tensor)
        return
    module._parameters.pop(name, None)
    module.register_buffer(name, tensor.detach() if isinstance(tensor, torch.Tensor) else tensor, persistent)


def _put_module(root: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    _container(root, owner).add_module(name, module)


def _container(root: nn.Module, path: str) -> nn.Module:
    module = root
    for name in path.split(".") if path else ():
        if name not in module._modules:
            module.add_module(name, nn.Module())
        module = module.get_submodule(name)
    return module
