"""In which numbers a written file computes, read from the file: what decides which instructions of a CPU it wants."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from app.core.instructions import Arithmetic
from app.core.measurements import OutputFormat
from app.core.tasks import WrittenFile
from worker.exporting.openvino import MODEL, PRECISION, PROPERTIES, WEIGHTS
from worker.exporting.openvino_layers import INTEGERS, stored_weight
from worker.openvino_extra import openvino

# Products of integers, and the operators that ONNX Runtime fuses with their neighbours into such.
_ONNX_INT8 = frozenset(
    {"QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul",
     "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QGemm", "QAttention"}
)  # fmt: skip
_INT8_ACCURACY_LEVEL = 4
_TORCH_INT8 = (b"ops.quantized.", b"torch.quantized_", b"ops.onednn.q", b"ops.aten._weight_int8pack_mm")
# 15 is TorchScript's number of the type. What only stores it is cast the other way, and to float32.
_TORCH_BFLOAT16 = re.compile(rb"torch\.to\(.*, 15[,)]")


def arithmetic_of(file: WrittenFile, folder: Path) -> tuple[Arithmetic, ...]:
    """Beside float32. A file that only stores its weights in fewer bits computes in float32."""
    read = _READ.get(file.format)
    return read(folder / file.path) if read is not None else ()


def _of_onnx(path: Path) -> tuple[Arithmetic, ...]:
    graph = onnx.load(path, load_external_data=False).graph
    return ("int8",) if any(node.op_type in _ONNX_INT8 or _rounds_its_inputs(node) for node in graph.node) else ()


def _rounds_its_inputs(node: onnx.NodeProto) -> bool:
    """As products with 4-bit weights do where they are allowed the precision of int8."""
    return node.op_type == "MatMulNBits" and any(
        each.name == "accuracy_level" and each.i == _INT8_ACCURACY_LEVEL for each in node.attribute
    )


def _of_torchscript(path: Path) -> tuple[Arithmetic, ...]:
    with zipfile.ZipFile(path) as archive:
        code = b"\n".join(archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    computes_in_int8 = any(marker in code for marker in _TORCH_INT8)
    return (*(("int8",) if computes_in_int8 else ()), *(("bfloat16",) if _TORCH_BFLOAT16.search(code) else ()))


def _of_openvino(path: Path) -> tuple[Arithmetic, ...]:
    with zipfile.ZipFile(path) as archive:
        model = openvino().Core().read_model(archive.read(MODEL), archive.read(WEIGHTS))
        floats = json.loads(archive.read(PROPERTIES)).get(PRECISION)
    computes_in_int8 = any(_multiplies_int8(operation) for operation in model.get_ops())
    return (*(("int8",) if computes_in_int8 else ()), *(("bfloat16",) if floats == "bf16" else ()))


def _multiplies_int8(operation: Any) -> bool:
    """OpenVINO rounds what it multiplies with integer weights by itself, 32 neighbours by one scale."""
    if operation.get_type_name() != "MatMul":
        return bool(operation.get_type_name() == "FakeQuantize")
    weight = stored_weight(operation)
    return weight is not None and weight.get_element_type().get_type_name() in INTEGERS


_READ: dict[OutputFormat, Callable[[Path], tuple[Arithmetic, ...]]] = {
    "onnx": _of_onnx,
    "torchscript": _of_torchscript,
    "openvino": _of_openvino,
}
