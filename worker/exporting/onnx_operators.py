"""Whether ONNX Runtime has all operators of a file: ONNX has more than it."""

import onnx
import onnxruntime

from worker.exporting.onnx_weights import without_weights


def check_operators(model: onnx.ModelProto) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    light = without_weights(model).SerializeToString()
    onnxruntime.InferenceSession(light, options, providers=["CPUExecutionProvider"])
