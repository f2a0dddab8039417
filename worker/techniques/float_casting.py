"""16-bit storage of weights. What reads them makes them float32 again, since CPUs have few kernels for less."""

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from app.core.recipes import FloatCasting
from worker.layer_selection import layers_left_alone
from worker.network import Network
from worker.packing.in_onnx import Weight, pack_weights
from worker.packing.in_openvino import cast_weights
from worker.packing.network import with_packed
from worker.packing.packed import Cast
from worker.run import Run
from worker.techniques import apply


@apply.register
def float_casting(step: FloatCasting, network: Network, run: Run) -> Network:
    """All parameters of the chosen layers, biases and norms too; statistics and other buffers stay as they are."""
    dtype: torch.dtype = getattr(torch, step.dtype)
    left_alone = layers_left_alone(step, network.module)

    def pack(name: str, parameter: nn.Parameter) -> Cast | None:
        cast = _cast(parameter, dtype)
        if cast is None and parameter.dtype is torch.float32:
            run.warn(f"`{name}` stays in float32: it has values that {step.dtype} can't hold.")
        return cast

    def pack_in_onnx(source: Path, target: Path) -> None:
        model = onnx.load(source)
        pack_weights(model, left_alone, lambda weight: _cast_weight(weight, dtype))
        onnx.save(model, target)

    def pack_in_openvino(source: Path, target: Path) -> None:
        cast_weights(source, target, step.dtype, left_alone)

    packed = with_packed(network, left_alone, pack)
    return packed.changed_after_export("onnx", pack_in_onnx).changed_after_export("openvino", pack_in_openvino)


def _cast_weight(weight: Weight, dtype: torch.dtype) -> Cast | None:
    return _cast(weight.values, dtype)


def _cast(values: Tensor, dtype: torch.dtype) -> Cast | None:
    """None where a value would become infinite."""
    codes = values.detach().to(dtype)
    return Cast(codes) if values.dtype is torch.float32 and bool(codes.isfinite().all()) else None
