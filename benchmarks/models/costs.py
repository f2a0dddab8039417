"""What a compress task of ours costs, for the method that each of the others' is the counterpart of.

Like the fork server, which imports it once for all jobs, this module begins with all that a child needs.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import worker.preload  # noqa: F401
from app.core.inputs import InputSpec
from app.core.job_files import DatasetFile, ModelFile
from app.core.tasks import Compress
from worker.pipeline import perform

# The format, and the step with the parameters that come nearest.
EQUIVALENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ort_static_u8s8": ("onnx", {"technique": "static_quantization"}),
    "ort_dynamic": ("onnx", {"technique": "dynamic_quantization"}),
    "ort_4bit": ("onnx", {"technique": "weight_quantization", "bits": 4, "group_size": 32}),
    "nncf_static": ("openvino", {"technique": "static_quantization", "bias_correction": True}),
    "nncf_weights": ("openvino", {"technique": "weight_quantization"}),
    "torch_static": ("torchscript", {"technique": "static_quantization"}),
    "torch_dynamic": ("torchscript", {"technique": "dynamic_quantization"}),
}


def compress_alone(method: str, model: Path, data: Path, inputs: tuple[InputSpec, ...]) -> None:
    """All that the worker's child does for it: loading, the step, the files with and without it, and their probes."""
    output, step = EQUIVALENTS[method]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("inputs", "outputs"):
            (folder / name).mkdir()
        shutil.copyfile(model, folder / "inputs" / "model.pt")
        shutil.copyfile(data, folder / "inputs" / "data.npz")
        task = {
            "model": ModelFile(path="inputs/model.pt", format="torchscript", inputs=inputs, inputs_from="given"),
            "dataset": DatasetFile(path="inputs/data.npz", format="npz"),
            "steps": [step],
            "outputs": [output],
            "seed": 0,
        }
        perform(Compress.model_validate(task), folder, lambda _message: None)
