"""Storage of weights in 16 bits or 8. What reads them makes them float32 again, unless a runtime has
kernels for less."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from app.core.recipes import FloatCasting
from worker.layer_selection import layers_left_alone
from worker.network import Network
from worker.packing.float8 import to_float8
from worker.packing.in_onnx import RECURRENT, Weight, pack_file
from worker.packing.in_openvino import cast_weights
from worker.packing.network import NOT_STORED, named, with_packed
from worker.packing.packed import Cast, Float8, bytes_of
from worker.packing.table import row_of_cast
from worker.run import Run
from worker.techniques import apply
from worker.techniques.torchscript_bfloat16 import computing_in_bfloat16

# Of the values and of how many rows they have.
_Casting = Callable[[Tensor, int], Cast | Float8 | None]
_FLOAT8 = {"float8_e4m3": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}


@apply.register
def float_casting(step: FloatCasting, network: Network, run: Run) -> Network:
    """In 16 bits all parameters of the chosen layers, biases and norms too; in 8 only those of several dimensions.
    Statistics and other buffers stay as they are."""
    cast = _casting(step)
    left_alone = layers_left_alone(step, network.module)

    def pack(name: str, parameter: nn.Parameter) -> Cast | Float8 | None:
        packed = cast(parameter, parameter.shape[0] if parameter.ndim else 1)
        if parameter.numel() and (packed is not None or _should_be_cast(step, parameter)):
            run.detail("Weights", **row_of_cast(name, parameter.detach(), step.dtype, packed))
        if packed is None and _should_be_cast(step, parameter):
            run.warn(f"`{name}` stays in float32: it has values that {step.dtype} can't hold.")
        return packed

    def pack_stored(weight: Weight) -> Cast | Float8 | None:
        return None if weight.is_bias and step.dtype in _FLOAT8 else cast(weight.values, _rows(weight))

    def pack_in_onnx(source: Path, target: Path) -> None:
        pack_file(source, target, left_alone, pack_stored)

    def pack_in_openvino(source: Path, target: Path) -> None:
        cast_weights(source, target, step.dtype, left_alone, computed_in_it=step.compute != "float32")

    packed = with_packed(network, left_alone, pack, lambda lost: run.warn(NOT_STORED.format(names=named(lost))))
    stored = packed.changed_after_export("onnx", pack_in_onnx).changed_after_export("openvino", pack_in_openvino)
    return computing_in_bfloat16(step, network, stored, run)


def _casting(step: FloatCasting) -> _Casting:
    if step.dtype in _FLOAT8:
        return lambda values, rows: _float8(values, _FLOAT8[step.dtype], rows)
    return lambda values, _rows: _cast(values, getattr(torch, step.dtype))


def _cast(values: Tensor, dtype: torch.dtype) -> Cast | None:
    """None where a value would become infinite."""
    codes = values.detach().to(dtype)
    return Cast(codes) if values.dtype is torch.float32 and bool(codes.isfinite().all()) else None


def _float8(values: Tensor, dtype: torch.dtype, rows: int) -> Float8 | None:
    """None where a value isn't finite, and for vectors and small weights, which it would make no smaller."""
    if values.dtype is not torch.float32 or values.ndim < 2 or not bool(values.isfinite().all()):
        return None
    packed = to_float8(values, dtype, rows)
    return packed if bytes_of(packed) < values.numel() * values.element_size() else None


def _should_be_cast(step: FloatCasting, parameter: nn.Parameter) -> bool:
    return parameter.dtype is torch.float32 and (step.dtype not in _FLOAT8 or not bool(parameter.isfinite().all()))


def _rows(weight: Weight) -> int:
    """Those of a layer's outputs: a scale for each is what a weight has before it is written, so that its codes are
    found again, also where an exporter has multiplied rows by a batch norm's factors."""
    return weight.rows if weight.operators <= RECURRENT else weight.values.shape[0]
