"""What becomes of hidden units in each layer and function: see `following.py`."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from worker.structure.following import (
    FUNCTION_RULES,
    LAYER_RULES,
    Call,
    Labels,
    NotFollowed,
    Rule,
    Use,
    along,
    function_name,
    unlabelled,
    varies,
)

# They answer one value for one value, and keep them where they are.
ONE_BY_ONE = (
    *("relu", "relu6", "tanh", "sigmoid", "gelu", "silu", "elu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid"),
    *("softplus", "mish", "dropout", "neg", "abs", "exp", "sqrt", "square", "pow", "clamp", "clamp_min", "clone"),
    *("detach", "to", "float"),
)
ONE_BY_ONE_LAYERS: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Hardtanh, nn.Hardswish),
    *(nn.Hardsigmoid, nn.Softplus, nn.Mish, nn.Dropout, nn.Identity),
)
# They only move values about: done to labels as to values.
MOVING = (
    *("transpose", "permute", "select", "squeeze", "unsqueeze", "cat", "stack", "chunk", "flip", "movedim", "unbind"),
    *("contiguous", "flatten"),
)
RESHAPING = ("reshape", "view", "expand", "unflatten")
COMBINING = ("add", "sub", "mul", "div", "truediv", "maximum", "minimum", "where", "masked_fill")
REDUCING = ("mean", "sum", "amax", "amin", "max", "min")


def follows(names: Iterable[str] = (), layers: Iterable[type[nn.Module]] = ()) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        FUNCTION_RULES.update(dict.fromkeys(names, rule))
        LAYER_RULES.update(dict.fromkeys(layers, rule))
        return rule

    return register


@follows(ONE_BY_ONE, ONE_BY_ONE_LAYERS)
def _one_by_one(call: Call) -> Labels:
    return call.arguments[0]


@follows(("size", "dim", "getattr", "zeros_like", "ones_like", "new_zeros"))
def _forgotten(_call: Call) -> Labels:
    return None


@follows((*MOVING, *RESHAPING))
def _moved(call: Call) -> Labels:
    arguments, keywords = _all_labels(call), call.follower.labels_or_values(call.node.kwargs)
    name = function_name(call.node)
    if call.node.op == "call_function":
        labels = call.node.target(*arguments, **keywords)  # type: ignore[operator]
    else:  # a view of labels may need a copy where that of the values didn't
        labels = getattr(arguments[0], "reshape" if name == "view" else name)(*arguments[1:], **keywords)
    if name in RESHAPING:
        call.follower.followed.reshaped[call.node] = labels
    return labels


def _all_labels(call: Call) -> Any:
    """`cat` may join units and other values: those get empty labels."""
    parts, *rest = call.arguments
    if not isinstance(parts, list | tuple):
        return call.arguments
    given: Any = call.node.args[0]
    joined = (
        labels if call.follower.is_labelled(one) else unlabelled(labels)
        for one, labels in zip(given, parts, strict=True)
    )
    return (list(joined), *rest)


@follows(("getitem",))
def _chosen(call: Call) -> Labels:
    container, index = call.arguments
    if isinstance(container, Tensor):
        call.follower.followed.sliced[call.node] = container
    return operator.getitem(container, index)


@follows(COMBINING)
def _combined(call: Call) -> Labels:
    labelled = [
        call.follower.labels[one].broadcast_to(call.value.shape)
        for one in call.node.all_input_nodes
        if one in call.follower.labels
    ]
    if any(not torch.equal(labelled[0], other) for other in labelled[1:]):
        raise NotFollowed(f"{call.node.name} combines different units")
    others = [call.follower.env[one] for one in call.node.all_input_nodes if one not in call.follower.labels]
    for other in (one for one in others if isinstance(one, Tensor)):
        _check_same_for_all_units(call.node, labelled[0], other)
    return labelled[0]


def _check_same_for_all_units(node: fx.Node, labels: Tensor, other: Tensor) -> None:
    for dim in range(1, other.ndim + 1):
        if other.shape[-dim] > 1 and varies(labels, -dim):
            raise NotFollowed(f"{node.name} combines its units with values that have as many places")


@follows(REDUCING)
def _reduced(call: Call) -> Labels:
    labels, *rest = call.arguments
    dims = rest[0] if rest else call.node.kwargs.get("dim")
    keep = rest[1] if len(rest) > 1 else call.node.kwargs.get("keepdim", False)
    dims = [dims] if isinstance(dims, int) else dims
    if not isinstance(dims, list | tuple) or any(varies(labels, dim) for dim in dims):
        raise NotFollowed(f"{call.node.name} reduces several units to one number")
    reduced = labels.amax(dims, keepdim=bool(keep))
    return reduced if isinstance(call.value, Tensor) else (reduced, torch.zeros_like(reduced))


@follows(("matmul", "bmm"))
def _weighed(call: Call) -> Labels:
    """Attention over time: weights of each step times the steps' units."""
    labels = call.arguments[1]
    if call.follower.is_labelled(call.node.args[0]) or varies(labels, -2):
        raise NotFollowed(f"{call.node.name} multiplies units with each other or sums over them")
    return labels.amax(-2, keepdim=True).expand(call.value.shape)


@follows(layers=(nn.Linear,))
def _linear(call: Call) -> Labels:
    owner = str(call.node.target)
    call.follower.followed.read(owner, [Use(owner, "weight", 1, along(call.arguments[0], -1, f"`{owner}`"))])


@follows(layers=(nn.Conv1d, nn.Conv2d))
def _convolution(call: Call) -> Labels:
    owner = str(call.node.target)
    if call.follower.fetch_attr(owner).groups != 1:
        raise NotFollowed(f"`{owner}` is a grouped convolution")
    call.follower.followed.read(owner, [Use(owner, "weight", 1, along(call.arguments[0], 1, f"`{owner}`"))])


@follows(layers=(nn.RNNBase,))
def _recurrent(call: Call) -> Labels:
    owner = str(call.node.target)
    if any(call.follower.is_labelled(one) for one in tree_leaves(call.node.args[1:])):
        raise NotFollowed(f"its state becomes the first state of `{owner}`")
    units = along(call.arguments[0], -1, f"`{owner}`")
    names = [name for name in call.follower.fetch_attr(owner)._flat_weights_names if name.startswith("weight_ih_l0")]
    call.follower.followed.read(owner, [Use(owner, name, 1, units) for name in names])


@follows(layers=(nn.BatchNorm1d, nn.LayerNorm))
def _norm(call: Call) -> Labels:
    owner = str(call.node.target)
    layer = call.follower.fetch_attr(owner)
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) != 1:
        raise NotFollowed(f"`{owner}` normalizes over several dimensions")
    units = along(call.arguments[0], 1 if isinstance(layer, nn.BatchNorm1d) else -1, f"`{owner}`")
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    call.follower.followed.read(owner, [Use(owner, name, 0, units) for name, one in tensors.items() if one.ndim == 1])
    return call.arguments[0]


@follows(layers=(nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.AvgPool1d, nn.MaxPool1d))
def _pooled(call: Call) -> Labels:
    if varies(call.arguments[0], -1):
        raise NotFollowed(f"`{call.node.target}` pools several units into one")
    return call.arguments[0][..., :1].expand(call.value.shape)
