"""A job's folder with one small linear network, written as TorchScript and as ONNX."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from app.core.inputs import InputSpec
from app.core.job_files import DatasetFile, ModelFile
from app.core.tasks import WrittenFile
from worker.evaluation.runtimes import Array, Runtime

FEATURES, CLASSES = 6, 3


class JobFolder:
    """Writes what a `compress` child would have written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "inputs").mkdir()
        (path / "outputs").mkdir()
        torch.manual_seed(0)
        self.network = nn.Linear(FEATURES, CLASSES)
        specs = (InputSpec(name="x", shape=("batch", FEATURES)),)
        self.model = ModelFile(path="inputs/model.pt", format="torchscript", inputs=specs)
        script = torch.jit.trace(self.network, torch.zeros(2, FEATURES))
        torch.jit.save(script, path / "inputs/model.pt")

    def upload(self) -> WrittenFile:
        return self._file("upload", path="inputs/model.pt", format="torchscript", role="upload")

    def onnx(self, name: str, *, noise: float = 0.0, quantized: bool = False) -> WrittenFile:
        """An ONNX file whose weights are off by up to `noise`, with a probe of the network itself."""
        weight = self.network.weight.detach().numpy().copy()
        weight += np.random.default_rng(1).uniform(-noise, noise, weight.shape).astype(np.float32)
        onnx.save(_linear_model(weight, self.network.bias.detach().numpy()), self.path / "outputs" / name)
        probe = self._probe(f"outputs/{name}.probe.npz")
        return self._file(
            name, path=f"outputs/{name}", format="onnx", role="artifact", quantized=quantized, probe=probe
        )

    def data(self, **arrays: np.ndarray) -> DatasetFile:
        np.savez(self.path / "inputs/data.npz", **arrays)
        return DatasetFile(path="inputs/data.npz", format="npz")

    def _file(self, name: str, **fields: object) -> WrittenFile:
        counts = {"parameters": 21, "nonzero_parameters": 21, "macs": 18}
        return WrittenFile.model_validate({"name": name, **counts, **fields})

    def _probe(self, path: str) -> str:
        inputs = torch.randn(4, FEATURES, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            answers = self.network(inputs)
        np.savez(self.path / path, **{"input.x": inputs.numpy(), "output.0": answers.numpy()})
        return path


def _linear_model(weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


class Recording:
    """A runtime that keeps the sizes of the batches that it gets."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.sizes: set[int] = set()

    def bind(self, inputs: Sequence[Tensor]) -> Callable[[], object]:
        self.sizes.add(len(inputs[0]))
        return self._runtime.bind(inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        self.sizes.add(len(inputs[0]))
        return self._runtime(inputs)


def recording(load: Callable[..., Runtime], kept: list[Recording]) -> Callable[..., Recording]:
    """Loads as `load` does."""

    def loaded(*arguments: Any) -> Recording:
        kept.append(Recording(load(*arguments)))
        return kept[-1]

    return loaded
