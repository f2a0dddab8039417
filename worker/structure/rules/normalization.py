"""Normalizations. Layer and group norm take statistics over channels: those that stay behind change a little."""

from torch import nn

from worker.structure.analysis import Call, Marked, layers
from worker.structure.atoms import Mark


@layers(
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
def by_channel(call: Call) -> Marked:
    marked = call.marked()
    return marked.replaced(1, _joined_with_tensors(call, marked, 1))


def _joined_with_tensors(call: Call, marked: Marked, dim: int) -> list[Mark] | None:
    marks = marked[dim]
    for tensor in (*call.layer.parameters(), *call.layer.buffers()):
        if tensor.ndim:
            marks = call.join(call.structure.of(tensor)[0], marks)
    return marks


@layers(nn.LayerNorm)
def layer_norm(call: Call) -> Marked:
    marked, normalized = call.marked(), len(call.layer.normalized_shape)
    for parameter in call.layer.parameters():
        of = call.structure.of(parameter)
        for dim in range(1, normalized + 1):
            marked = marked.replaced(-dim, call.join(of[-dim], marked[-dim]))
    for dim in range(1, normalized + 1):
        call.structure.statistics += marked[-dim] or []
    return marked


@layers(nn.GroupNorm)
def group_norm(call: Call) -> Marked:
    layer, marked = call.layer, call.marked()
    name = str(call.node.target)
    parts = call.structure.parts.setdefault(name, call.atoms.axis(layer.num_groups))
    places = call.atoms.axis(layer.num_channels // layer.num_groups)
    channels: list[Mark] = [(*part, *place) for part in parts for place in places]
    marked = marked.replaced(1, call.join(channels, marked[1]))
    call.structure.statistics += channels
    return marked.replaced(1, _joined_with_tensors(call, marked, 1))
