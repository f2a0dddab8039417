"""Batch, layer, group and instance normalization."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import fx, nn

from worker.loading.lifting.call import Call, shape_of
from worker.loading.lifting.layer import Layer, lifts

BATCH = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
TENSORS = ("weight", "bias", "running_mean", "running_var")


@lifts("batch_norm")
def batch_norm(call: Call) -> Layer | None:
    return _running(call, BATCH, tracks=call["running_mean"] is not None)


@lifts("_native_batch_norm_legit_no_training")
def decomposed_batch_norm(call: Call) -> Layer | None:
    return _of_first_answer(call, _running(call, BATCH, tracks=True))


@lifts("instance_norm")
def instance_norm(call: Call) -> Layer | None:
    return _running(call, INSTANCE, tracks=not call["use_input_stats"])


def _running(call: Call, kinds: Mapping[int, Callable[..., nn.Module]], tracks: bool) -> Layer | None:
    tensors = {name: call[name] for name in TENSORS}
    if not (call.are_stored(*tensors.values()) and _has_both_or_none(call)):
        return None
    shape = shape_of(call["input"])
    module = kinds[len(shape)](
        int(shape[1]),
        eps=call["eps"],
        momentum=call["momentum"],
        affine=call["weight"] is not None,
        track_running_stats=tracks,
        device="meta",
    )
    if tracks:
        module.register_buffer("num_batches_tracked", None)
    return Layer(module, (call["input"],), tensors if tracks else {name: call[name] for name in TENSORS[:2]})


def _has_both_or_none(call: Call) -> bool:
    return (call["weight"] is None) == (call["bias"] is None)


@lifts("layer_norm")
def layer_norm(call: Call) -> Layer | None:
    weight, bias = call["weight"], call["bias"]
    if not (call.are_stored(weight, bias) and call.are_constant("normalized_shape")):
        return None
    if weight is None and bias is not None:
        return None
    module = nn.LayerNorm(
        list(call["normalized_shape"]),
        eps=call["eps"],
        elementwise_affine=weight is not None,
        bias=bias is not None,
        device="meta",
    )
    return Layer(module, (call["input"],), {"weight": weight, "bias": bias})


@lifts("native_layer_norm")
def decomposed_layer_norm(call: Call) -> Layer | None:
    return _of_first_answer(call, layer_norm(call))


@lifts("group_norm")
def group_norm(call: Call) -> Layer | None:
    weight, bias = call["weight"], call["bias"]
    if not (call.are_stored(weight, bias) and call.are_constant("num_groups") and _has_both_or_none(call)):
        return None
    channels = int(shape_of(call["input"])[1])
    module = nn.GroupNorm(call["num_groups"], channels, eps=call["eps"], affine=weight is not None, device="meta")
    return Layer(module, (call["input"],), {"weight": weight, "bias": bias})


@lifts("native_group_norm")
def decomposed_group_norm(call: Call) -> Layer | None:
    weight, bias = call["weight"], call["bias"]
    if not (call.are_stored(weight, bias) and call.are_constant("group", "C") and _has_both_or_none(call)):
        return None
    module = nn.GroupNorm(call["group"], call["C"], eps=call["eps"], affine=weight is not None, device="meta")
    return _of_first_answer(call, Layer(module, (call["input"],), {"weight": weight, "bias": bias}))


def _of_first_answer(call: Call, layer: Layer | None) -> Layer | None:
    """For operators that answer the statistics, too: a layer if nobody reads these."""
    reads_first = all(reader.target is operator.getitem and reader.args[1] == 0 for reader in call.node.users)
    return replace(layer, rewire=_unpack) if layer is not None and reads_first else None


def _unpack(graph: fx.Graph, layer: fx.Node) -> dict[fx.Node, fx.Node]:
    layer.meta["val"] = layer.meta["val"][0]
    readers = list(layer.users)
    for reader in readers:
        reader.replace_all_uses_with(layer)
        graph.erase_node(reader)
    return dict.fromkeys(readers, layer)
