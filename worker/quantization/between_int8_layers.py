"""Where a graph goes on in 8 bits from one layer in int8 to the next, and where no such layer follows."""

import operator
from collections.abc import Collection

import torch
from torch import fx, nn
from torch.nn import functional

_LAYERS = (
    nn.ReLU,
    nn.ReLU6,
    nn.Hardswish,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.Flatten,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)
_FUNCTIONS = frozenset(
    {
        torch.add,
        operator.add,
        torch.cat,
        torch.relu,
        torch.flatten,
        torch.max_pool2d,
        functional.relu,
        functional.max_pool2d,
        functional.avg_pool2d,
        functional.adaptive_avg_pool2d,
    }
)


def between_int8_layers(module: fx.GraphModule, layers: Collection[str]) -> set[fx.Node]:
    """Without the layers themselves. What mixes in a value from elsewhere, such as the mask of an attention, stays in
    float: its range may leave the others no levels."""
    integers, inside = set[fx.Node](), set[fx.Node]()
    for node in module.graph.nodes:
        if node.op == "call_module" and node.target in layers:
            integers.add(node)
        elif _can(module, node) and node.all_input_nodes and integers.issuperset(node.all_input_nodes):
            integers.add(node)
            inside.add(node)
    return inside


def last_linear_layers(module: fx.GraphModule, layers: Collection[str]) -> set[str]:
    """Those of `layers` that none of `layers` comes behind, over whatever way."""
    last, followed = set[str](), set[fx.Node]()
    for node in reversed(module.graph.nodes):
        is_layer = node.op == "call_module" and node.target in layers
        if is_layer and node not in followed and isinstance(module.get_submodule(str(node.target)), nn.Linear):
            last.add(str(node.target))
        if is_layer or node in followed:
            followed.update(node.all_input_nodes)
    return last


def _can(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _LAYERS)
    return node.op == "call_function" and node.target in _FUNCTIONS
