"""Half precision becomes float32: CPUs have few kernels for it."""

from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.fx.passes.shape_prop import ShapeProp

HALF = (torch.float16, torch.bfloat16)
Module = TypeVar("Module", bound=nn.Module)


def widened(module: Module) -> tuple[Module, bool]:
    """The module, and whether it held half precision. What its code makes half stays so: see `in_float32`."""
    is_half = any(tensor.dtype in HALF for tensor in module.state_dict().values())
    return (module.float() if is_half else module), is_half


def in_float32(module: fx.GraphModule, *examples: Tensor) -> fx.GraphModule:
    """Without the casts that it computes in half precision by."""
    for node in module.graph.nodes:
        node.args, node.kwargs = map_aggregate((node.args, node.kwargs), _widened_type)
    module.float().recompile()
    with torch.no_grad():
        ShapeProp(module).propagate(*examples)
    for cast in module.graph.find_nodes(op="call_method", target="to"):
        if cast.args[1:] == (torch.float32,) and cast.args[0].meta["tensor_meta"].dtype is torch.float32:
            cast.replace_all_uses_with(cast.args[0])
            module.graph.erase_node(cast)
    module.recompile()
    return module


def _widened_type(value: Any) -> Any:
    return torch.float32 if value in HALF else value
