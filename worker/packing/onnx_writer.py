"""Tensors and nodes for an ONNX graph, named after the weight that they stand for."""

from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from worker.packing.onnx_functions import DOMAIN

MICROSOFT = "com.microsoft"
_TYPES = {
    torch.float16: TensorProto.FLOAT16,
    torch.bfloat16: TensorProto.BFLOAT16,
    torch.int8: TensorProto.INT8,
    torch.uint8: TensorProto.UINT8,
    torch.float32: TensorProto.FLOAT,
}


class Writer:
    def __init__(self, name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._name = name

    def store(self, what: str, values: Tensor) -> str:
        name = f"{self._name}.{what}"
        if any(each.name == name for each in self.stored):
            name = f"{name}_{len(self.stored)}"
        kind = _TYPES.get(values.dtype, TensorProto.INT64)
        raw = values.contiguous().view(torch.uint8) if values.ndim else values
        self.stored.append(helper.make_tensor(name, kind, list(values.shape), raw.numpy().tobytes(), raw=True))
        return name

    def cast(self, value: str) -> str:
        return self.node("Cast", value, to=TensorProto.FLOAT)

    def in_float(self, what: str, values: Tensor) -> str:
        """Stored as it is, float32 where it is read."""
        stored = self.store(what, values)
        return stored if values.dtype is torch.float32 else self.cast(stored)

    def shaped(self, value: str, what: str, *shape: int) -> str:
        return self.node("Reshape", value, self.store(what, torch.tensor(shape)))

    def call(self, function: str, *inputs: str, **attributes: Any) -> str:
        return self.node(function, *inputs, domain=DOMAIN, **attributes)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{self._name}.{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def import_microsoft(model: onnx.ModelProto) -> None:
    """ONNX Runtime's own operators may stand in the file from here on."""
    if all(each.domain != MICROSOFT for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
