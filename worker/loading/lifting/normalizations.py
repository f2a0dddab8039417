"""Batch, layer, group and instance normalization."""

from collections.abc import Callable, Mapping

from torch import nn

from worker.loading.lifting.call import Call, shape_of
from worker.loading.lifting.layer import Layer, lifts

BATCH = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
TENSORS = ("weight", "bias", "running_mean", "running_var")


@lifts("batch_norm")
def batch_norm(call: Call) -> Layer | None:
    return _running(call, BATCH, tracks=call["running_mean"] is not None)


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


@lifts("group_norm")
def group_norm(call: Call) -> Layer | None:
    weight, bias = call["weight"], call["bias"]
    if not (call.are_stored(weight, bias) and call.are_constant("num_groups") and _has_both_or_none(call)):
        return None
    channels = int(shape_of(call["input"])[1])
    module = nn.GroupNorm(call["num_groups"], channels, eps=call["eps"], affine=weight is not None, device="meta")
    return Layer(module, (call["input"],), {"weight": weight, "bias": bias})
