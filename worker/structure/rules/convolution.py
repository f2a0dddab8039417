"""Convolutions, plain, grouped, depthwise and transposed."""

from torch import nn

from worker.structure.analysis import Call, Marked, layers
from worker.structure.atoms import NEVER, Mark, Marks


@layers(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution(call: Call) -> Marked:
    return _convolution(call, out=0, into=1)


@layers(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def transposed_convolution(call: Call) -> Marked:
    return _convolution(call, out=1, into=0)


def _convolution(call: Call, out: int, into: int) -> Marked:
    layer, marked = call.layer, call.marked()
    weight = call.structure.of(layer.weight, frozen=range(2, layer.weight.ndim))
    channels_at = len(marked) - (layer.weight.ndim - 2) - 1
    for dim in (*range(channels_at), *range(channels_at + 1, len(marked))):
        call.freeze(marked[dim])
    outputs, inputs = (weight[out], weight[into]) if layer.groups == 1 else _grouped(call, weight, out)
    call.join(inputs, marked[channels_at])
    if layer.bias is not None:
        call.join(outputs, call.structure.of(layer.bias)[0])
    dims: list[Marks] = [None] * len(marked)
    dims[channels_at] = outputs
    return Marked(tuple(dims))


def _grouped(call: Call, weight: Marked, out: int) -> tuple[list[Mark], list[Mark]]:
    """The weight holds (all outputs, inputs of one group), or the other way round where it is transposed: an index
    goes with its group, or from its place in every group."""
    groups, whole, within = call.layer.groups, 0, 1
    if call.layer.weight.shape[whole] == groups:
        places: list[Mark] = [NEVER]
        parts = weight[whole] or []
    else:
        parts = call.structure.parts.get(str(call.node.target)) or call.atoms.axis(groups)
        places = call.atoms.axis(call.layer.weight.shape[whole] // groups)
    all_of_them: list[Mark] = [(*part, *place) for part in parts for place in places]
    call.join(all_of_them, weight[whole])
    call.structure.parts[str(call.node.target)] = parts
    of_one_group = weight[within] or [NEVER] * call.layer.weight.shape[within]
    others: list[Mark] = [(*part, *place) for part in parts for place in of_one_group]
    return (all_of_them, others) if out == 0 else (others, all_of_them)
