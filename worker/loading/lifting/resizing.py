"""Upsampling and padding, as the functions that take a size or a factor."""

from typing import Any

from torch import nn

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Function, writes

MODES = {
    "upsample_nearest1d": "nearest",
    "upsample_nearest2d": "nearest",
    "upsample_nearest3d": "nearest",
    "_upsample_nearest_exact1d": "nearest-exact",
    "_upsample_nearest_exact2d": "nearest-exact",
    "upsample_linear1d": "linear",
    "upsample_bilinear2d": "bilinear",
    "upsample_bicubic2d": "bicubic",
    "upsample_trilinear3d": "trilinear",
    "_upsample_bilinear2d_aa": "bilinear",
    "_upsample_bicubic2d_aa": "bicubic",
}


@writes(*MODES)
def upsample(call: Call) -> Function | None:
    """To `output_size`, or by `scale_factors`; the operators that take both at once keep their own form."""
    name = call.name.removeprefix("aten::")
    data = call["input"] if "input" in call else call["self"]
    size, factors = call["output_size"], call.arguments.get("scale_factors")
    if "scale_factors" not in call and any(call[one] is not None for one in call.arguments if one.startswith("scales")):
        return None
    options: dict[str, Any] = {"size": size} if size is not None else {"scale_factor": factors}
    options["mode"] = MODES[name]
    if "align_corners" in call:
        options["align_corners"] = call["align_corners"]
    if name.endswith("_aa"):
        options["antialias"] = True
    return Function(nn.functional.interpolate, (data,), options)


@writes("pad")
def pad(call: Call) -> Function:
    options = {} if call["value"] is None else {"value": call["value"]}
    return Function(nn.functional.pad, (call["self"], list(call["pad"]), call["mode"]), options)
