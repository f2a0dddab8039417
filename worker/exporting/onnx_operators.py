"""Whether ONNX Runtime has all operators of a file: ONNX has more than it."""

import re

import onnx
import onnxruntime

from app.core.errors import Problem
from worker.exporting.onnx_weights import without_weights


def check_operators(model: onnx.ModelProto) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        light = without_weights(model).SerializeToString()
        onnxruntime.InferenceSession(light, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        named = re.search(r"implementation for (\w{1,80})\(", str(error))
        if named is None:
            raise
        raise Problem(
            f"The network can't be written as onnx: ONNX Runtime can't compute its operator {named[1]} for values of "
            "this type. Ask for another format in `outputs`.",
            code="export_failed",
            title="A file can't be written",
        ) from error
