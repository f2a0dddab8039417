"""Batch norms become part of the convolutions before them, as in the files that an exporter writes."""

from collections.abc import Iterator
from typing import Any

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_PAIRS = {(nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)}


def fold_batch_norms(module: fx.GraphModule) -> None:
    """In place. A convolution that is called twice, or whose answer something else reads too, is left as it is."""
    for convolution, norm in list(foldable(module)):
        _fold(module, convolution, norm)
    module.delete_all_unused_submodules()
    module.recompile()


def foldable(module: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Calls of a convolution and of the norm that only it is read by."""
    for node in module.graph.nodes:
        convolution = _convolution_before(module, node)
        if convolution is not None:
            yield convolution, node


def _convolution_before(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    before = node.args[0] if node.op == "call_module" and node.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return None
    layers = _layer(module, before), _layer(module, node)
    if (type(layers[0]), type(layers[1])) not in _PAIRS or getattr(layers[1], "running_mean", None) is None:
        return None
    calls = [other.target for other in module.graph.nodes if other.op == "call_module"]
    return before if calls.count(before.target) == 1 else None


def _fold(module: fx.GraphModule, convolution: fx.Node, norm: fx.Node) -> None:
    layers: Any = _layer(module, convolution), _layer(module, norm)  # of the types of a pair
    module.set_submodule(str(convolution.target), fuse_conv_bn_eval(*layers))
    norm.replace_all_uses_with(convolution)
    module.graph.erase_node(norm)


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Module:
    return module.get_submodule(str(node.target))
