"""A written file -> something that answers, in the runtime that the file is meant for."""

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from app.core.inputs import Input, tensor_inputs
from app.core.measurements import QuantizedEngine
from app.core.tasks import WrittenFile
from worker.archives.state import ArchiveState
from worker.exporting.load_network import load_network
from worker.exporting.openvino import MODEL, PROPERTIES, WEIGHTS
from worker.inputs import WithNumbers
from worker.network import tensors_in
from worker.openvino_extra import openvino

Array = np.ndarray[Any, Any]


class Runtime(Protocol):
    """A loaded file. It takes one tensor for each input, in the network's order."""

    def bind(self, inputs: Sequence[Tensor]) -> Callable[[], object]:
        """A call without arguments for timing: inputs are converted once, answers stay the runtime's own."""

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        """Every output, in order; nested ones are flattened."""


class OnnxRuntime:
    def __init__(self, path: Path, inputs: Sequence[Input], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._names = [spec.name for spec in tensor_inputs(inputs)]

    def bind(self, inputs: Sequence[Tensor]) -> Callable[[], object]:
        # An input that the network never reads may be gone from the file, and the session refuses to be fed it.
        wanted = {each.name for each in self._session.get_inputs()}
        feeds = {
            name: tensor.contiguous().numpy()
            for name, tensor in zip(self._names, inputs, strict=True)
            if name in wanted
        }
        return lambda: self._session.run(None, feeds)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        answers = self.bind(inputs)()
        assert isinstance(answers, list)
        return answers


class OpenVinoRuntime:
    """Compiled as the archive says, for so many threads and one call at a time. Threads aren't bound to cores: no other
    runtime's are, and one that is bound waits whenever something else runs on its core."""

    def __init__(self, path: Path, inputs: Sequence[Input], threads: int) -> None:
        with zipfile.ZipFile(path) as archive:
            model = openvino().Core().read_model(archive.read(MODEL), archive.read(WEIGHTS))
            properties = json.loads(archive.read(PROPERTIES))
        one_call = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        self._network = openvino().compile_model(model, "CPU", {**properties, **one_call})
        self._request = self._network.create_infer_request()
        self._names = [spec.name for spec in tensor_inputs(inputs)]

    def bind(self, inputs: Sequence[Tensor]) -> Callable[[], object]:
        # An input that the network never reads is gone from the file.
        wanted = {each.any_name for each in self._network.inputs}
        feeds = {n: tensor.contiguous().numpy() for n, tensor in zip(self._names, inputs, strict=True) if n in wanted}
        return lambda: self._request.infer(feeds, share_inputs=True, share_outputs=True)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        answers = self.bind(inputs)()
        return [np.array(answers[output]) for output in self._network.outputs]  # type: ignore[index]


class TorchRuntime:
    """Any torch module in evaluation mode, whichever way it was loaded."""

    def __init__(self, module: torch.nn.Module, threads: int) -> None:
        torch.set_num_threads(threads)
        self._module = module

    def bind(self, inputs: Sequence[Tensor]) -> Callable[[], object]:
        return lambda: self._module(*inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        with torch.inference_mode():
            answers = tensors_in(self._module(*inputs))
        return [(each.float() if each.dtype is torch.bfloat16 else each).numpy() for each in answers]


class ArchiveRuntime(TorchRuntime):
    """An archive may change itself when it runs: every answer, but none that is timed, is from its first state.

    One that keeps its own forward takes plain numbers among its tensors; a rebuilt one has them in its graph.
    """

    def __init__(self, archive: torch.jit.ScriptModule, inputs: Sequence[Input], threads: int) -> None:
        taken = len(archive.forward.schema.arguments) - 1  # type: ignore[attr-defined]
        takes_numbers = len(tensor_inputs(inputs)) < len(inputs) <= taken
        super().__init__(WithNumbers(archive, inputs) if takes_numbers else archive, threads)
        self._state = ArchiveState(archive)

    def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
        self._state.restore()
        return super().__call__(inputs)


@contextmanager
def _engine_set(engine: QuantizedEngine | None) -> Iterator[None]:
    """While an archive is loaded: what it is then laid out for is what runs it, whatever is set later."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine or before
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def load_runtime(file: WrittenFile, folder: Path, inputs: Sequence[Input], threads: int = 1) -> Runtime:
    """Raises whatever the runtime raises: what that means depends on whose file it is."""
    path = folder / file.path
    if file.format == "onnx":
        return OnnxRuntime(path, inputs, threads)
    if file.format == "openvino":
        return OpenVinoRuntime(path, inputs, threads)
    if file.format == "state_dict":
        description = next(companion for companion in file.companions if companion.endswith(".json"))
        return TorchRuntime(load_network(folder / description, path), threads)
    if file.format == "exported_program":
        return TorchRuntime(torch.export.load(path).module(), threads)
    with _engine_set(file.engine):
        archive: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return ArchiveRuntime(archive.eval(), inputs, threads)
