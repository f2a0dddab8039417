"""A network that computes in bfloat16: Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019."""

from collections.abc import Callable, Collection
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, fx, nn

from worker.network import layers_of
from worker.quantization.batch_norm_folding import fold_batch_norms

# Means and variances want more digits than bfloat16 has. torch's kernels take float32 weights and bfloat16 activations.
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
# torch has these for tensors of one type alone. What adds or compares goes on in float32 where it is given both.
_OF_ONE_TYPE = frozenset(
    {"matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "scaled_dot_product_attention"}
    | {f"conv{kind}{dimensions}d" for kind in ("", "_transpose") for dimensions in (1, 2, 3)}
)
_OF_FLOAT32 = frozenset({"quantize_per_tensor"})


def in_bfloat16(module: fx.GraphModule, left_alone: Collection[str]) -> fx.GraphModule:
    """A copy whose layers, but norms and those of the names `left_alone` ("" for what belongs to no layer), hold
    bfloat16 and compute in it. It takes and answers float32. Softmax adds up in float32 inside of torch's kernel."""
    copied = deepcopy(module)
    fold_batch_norms(copied)
    owners = {"": copied, **layers_of(copied)}
    holding = {name for name, one in owners.items() if one.state_dict() and not isinstance(one, NORMS)}
    cast = {name for name in holding - {*left_alone} if _cast(owners[name])}
    for node in list(copied.graph.nodes):
        if node.op == "call_module" and node.target in cast:
            _given(node, _lowered)
        elif node.op == "output" or _name(node) in _OF_FLOAT32 or node.target in holding:
            _given(node, _whole)
        elif _name(node) in _OF_ONE_TYPE:
            _given(node, _lowered_beside, *node.all_input_nodes)
    copied.recompile()
    return copied


def _cast(owner: nn.Module) -> bool:
    """Whether it has float32 parameters of its own, which are cast."""
    found = [one for one in owner.parameters(recurse=False) if one.dtype is torch.float32]
    for parameter in found:
        parameter.data = parameter.data.to(torch.bfloat16)
    return bool(found)


def _given(node: fx.Node, change: Callable[..., Any], *beside: fx.Node) -> None:
    """Each value that it reads is changed before."""

    def changed(argument: fx.Node) -> fx.Node:
        with node.graph.inserting_before(node):
            return node.graph.call_function(change, (argument, *beside))

    node.args, node.kwargs = fx.map_arg(node.args, changed), fx.map_arg(node.kwargs, changed)


def _lowered(value: Any) -> Any:
    return value.to(torch.bfloat16) if isinstance(value, Tensor) and value.dtype is torch.float32 else value


def _whole(value: Any) -> Any:
    """The cast to what it is already tells who reads a traced archive that something was computed in it."""
    is_low = isinstance(value, Tensor) and value.dtype is torch.bfloat16
    return value.to(torch.bfloat16).float() if is_low else value


def _lowered_beside(value: Any, *others: Any) -> Any:
    """Where one of the others is."""
    one_is = any(isinstance(other, Tensor) and other.dtype is torch.bfloat16 for other in others)
    return _lowered(value) if one_is else value


def _name(node: fx.Node) -> str:
    """Of the function that it calls, whichever of its overloads."""
    return str(getattr(node.target, "__name__", node.target)).partition(".")[0]
