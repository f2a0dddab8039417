"""Layers whose answers are the network's own: rounded, they would be cut off at the range that calibration has seen."""

import operator
from collections.abc import Collection, Iterator

from torch import fx, nn

# What gives its input another shape, or gives it on.
_LAYERS = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout)
_NAMES = frozenset({"flatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "contiguous"})


def answering(module: fx.GraphModule, layers: Collection[str]) -> set[str]:
    """Those of `layers` that an answer comes from, through reshapes at most."""
    found = (_origin(module, node) for node in module.graph.output_node().all_input_nodes)
    return {str(node.target) for node in found if node.op == "call_module" and node.target in layers}


def _origin(module: fx.GraphModule, node: fx.Node) -> fx.Node:
    while _gives_on(module, node) and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _gives_on(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _LAYERS)
    return any(name in _NAMES for name in _names_of(node))


def _names_of(node: fx.Node) -> Iterator[str]:
    """Of a method, a function or an operator of ATen (`aten.view.default`)."""
    if node.op == "call_method":
        yield str(node.target)
    elif node.op == "call_function" and node.target is not operator.getitem:
        yield getattr(node.target, "__name__", "").partition(".")[0]
