"""Layers that a graph calls: at how many places they compute, who else reads their weights, and putting chains in
their stead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from torch import Tensor, fx, nn

from worker.factorization.chains import Positions
from worker.inputs import random_inputs
from worker.network import Network


def called_layers(module: fx.GraphModule, kinds: tuple[type[nn.Module], ...]) -> dict[str, nn.Module]:
    """By name, each once, in the order of their first call."""
    names = dict.fromkeys(str(node.target) for node in module.graph.find_nodes(op="call_module"))
    layers = {name: module.get_submodule(name) for name in names}
    return {name: layer for name, layer in layers.items() if type(layer) in kinds}


def positions(network: Network, layers: dict[str, nn.Module]) -> dict[str, Positions]:
    """By layer, for one example."""
    found: dict[str, Positions] = {}
    with _recorded(layers, found):
        network.run(*random_inputs(network.inputs, 1, seed=0))
    return found


@contextmanager
def _recorded(layers: dict[str, nn.Module], found: dict[str, Positions]) -> Iterator[None]:
    def recorder(name: str) -> Any:
        def record(layer: nn.Module, inputs: tuple[Tensor, ...], answer: Tensor) -> None:
            before = found.get(name, Positions(0, 0))
            found[name] = Positions(before.read + _places(layer, inputs[0]), before.written + _places(layer, answer))

        return record

    hooks = [layer.register_forward_hook(recorder(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _places(layer: nn.Module, tensor: Tensor) -> int:
    """All dimensions but the features; of a convolution, those that its kernel moves along."""
    return prod(tensor.shape[:-1]) if isinstance(layer, nn.Linear) else prod(tensor.shape[-len(layer.kernel_size) :])  # type: ignore[arg-type]


def other_reader(module: fx.GraphModule, name: str) -> str | None:
    """What reads the layer's weights beside the layer itself: a tied layer, or the graph."""
    layer = module.get_submodule(name)
    own = {id(parameter) for parameter in layer.parameters()}
    everything = module.named_parameters(remove_duplicate=False)
    tied = (path for path, one in everything if id(one) in own and path.rpartition(".")[0] != name)
    read = (str(node.target) for node in module.graph.find_nodes(op="get_attr"))
    return next((path for path in (*tied, *(each for each in read if each.startswith(f"{name}.")))), None)


def put_chain(module: fx.GraphModule, name: str, chain: Sequence[nn.Module]) -> None:
    """In place: every call of the layer becomes calls of `name.0`, `name.1` and so on."""
    module.delete_submodule(name)
    for position, layer in enumerate(chain):
        module.add_submodule(f"{name}.{position}", layer)
    for call in list(module.graph.find_nodes(op="call_module", target=name)):
        value: Any = call.args[0]
        with module.graph.inserting_before(call):
            for position in range(len(chain)):
                value = module.graph.call_module(f"{name}.{position}", (value,))
        call.replace_all_uses_with(value)
        module.graph.erase_node(call)
