"""Small ONNX graphs of known weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser


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
