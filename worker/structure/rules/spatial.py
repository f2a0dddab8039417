"""Pooling, resizing and padding: rows and columns change, batch and channels pass."""

from typing import Any

from torch import Tensor, nn

from worker.structure.analysis import Call, Marked, functions, layers
from worker.structure.atoms import Marks


@layers(
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.Upsample, nn.ZeroPad2d, nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ConstantPad2d),
)
@functions(
    *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "interpolate"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool2d"),
    *("upsample_nearest2d", "upsample_bilinear2d", "upsample_nearest1d", "upsample_linear1d"),
)
def spatial(call: Call) -> Any:
    marked = call.marked()
    if not isinstance(call.answer, Tensor) or len(marked) < 3:
        return call.freeze_all()
    call.freeze(*marked.dims[2:])
    passed: list[Marks] = [*marked.dims[:2], *[None] * (len(marked) - 2)]
    return Marked(tuple(passed))


@functions("pad", "constant_pad_nd")
def padding(call: Call) -> Marked:
    marked, sizes = call.marked(), call.given(1, "pad")
    for dim in range(1, len(sizes) // 2 + 1):
        if any(sizes[2 * dim - 2 : 2 * dim]):
            call.freeze(marked[-dim])
            marked = marked.replaced(-dim, None)
    return marked
