"""In which numbers a written file computes, read from the file: what decides which instructions of a CPU it wants."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx

from app.core.instructions import Arithmetic
from app.core.measurements import OutputFormat
from app.core.tasks import WrittenFile
from worker.exporting.openvino import MODEL

# Products of integers, and the operators that ONNX Runtime fuses with their neighbours into such.
_ONNX_INT8 = frozenset(
    {"QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul",
     "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QGemm", "QAttention"}
)  # fmt: skip
_INT8_ACCURACY_LEVEL = 4
_OPENVINO_INT8 = b'type="FakeQuantize"'
_TORCH_INT8 = (b"ops.quantized.", b"torch.quantized_", b"ops.onednn.q", b"ops.aten._weight_int8pack_mm")


def arithmetic_of(file: WrittenFile, folder: Path) -> tuple[Arithmetic, ...]:
    """Beside float32. A file that only stores its weights in fewer bits computes in float32."""
    multiplies_int8 = _MULTIPLIES_INT8.get(file.format)
    return ("int8",) if multiplies_int8 is not None and multiplies_int8(folder / file.path) else ()


def _onnx_multiplies_int8(path: Path) -> bool:
    graph = onnx.load(path, load_external_data=False).graph
    return any(node.op_type in _ONNX_INT8 or _rounds_its_inputs(node) for node in graph.node)


def _rounds_its_inputs(node: onnx.NodeProto) -> bool:
    """As products with 4-bit weights do where they are allowed the precision of int8."""
    return node.op_type == "MatMulNBits" and any(
        each.name == "accuracy_level" and each.i == _INT8_ACCURACY_LEVEL for each in node.attribute
    )


def _torchscript_multiplies_int8(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        code = (archive.read(name) for name in archive.namelist() if name.endswith(".py"))
        return any(marker in text for text in code for marker in _TORCH_INT8)


def _openvino_multiplies_int8(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return _OPENVINO_INT8 in archive.read(MODEL)


_MULTIPLIES_INT8: dict[OutputFormat, Callable[[Path], bool]] = {
    "onnx": _onnx_multiplies_int8,
    "torchscript": _torchscript_multiplies_int8,
    "openvino": _openvino_multiplies_int8,
}
