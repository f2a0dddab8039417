"""Small ONNX graphs of known weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static


def graph(body: str, weights: Mapping[str, np.ndarray], inputs: str = "float[N, 4] x") -> onnx.ModelProto:
    """`body` in ONNX's text form, with nodes named after what they compute; it computes y."""
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 18]> network ({inputs}) => (float[N, M] y) {{ {body} }}'
    )
    for node in model.graph.node:
        node.name = f"/{node.output[0]}/{node.op_type}"
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()
    )
    return model


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answer: np.ndarray = session.run(None, {"x": x.astype(np.float32)})[0]
    return answer


def stored(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def feeds(x: np.ndarray, size: int = 16) -> Sequence[dict[str, np.ndarray]]:
    return [{"x": x[start : start + size].astype(np.float32)} for start in range(0, len(x), size)]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class _Feeds(CalibrationDataReader):
    def __init__(self, x: np.ndarray) -> None:
        self._left = iter(feeds(x))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)


def in_int8(folder: Path, model: onnx.ModelProto, x: np.ndarray, *, per_channel: bool = True) -> onnx.ModelProto:
    """As ONNX Runtime's quantizer makes it of the model and its calibration examples."""
    source, target = folder / "exact.onnx", folder / "int8.onnx"
    onnx.save(model, source)
    kinds: dict[str, Any] = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(source, target, _Feeds(x), per_channel=per_channel, **kinds)
    return onnx.load(target)
