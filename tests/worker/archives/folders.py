"""Job folders of archives that keep their own forward."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.core.inputs import INPUTS
from app.core.job_files import DatasetFile, ModelFile
from app.core.recipes import Step
from app.core.tasks import Compress, Compression, InspectModel, Measure
from tests.worker.jobs import MODEL, silent
from worker.pipeline import perform

VECTORS = [{"name": "x", "shape": ["batch", 6]}]


class ArchiveFolder:
    """`inputs` as an upload says them."""

    def __init__(self, path: Path, network: nn.Module, inputs: list[dict[str, Any]] | None = None) -> None:
        for name in ("inputs", "outputs"):
            (path / name).mkdir(parents=True)
        self.path = path
        torch.jit.save(torch.jit.script(network.eval()), str(path / MODEL))
        self.model = ModelFile(path=MODEL, format="torchscript")
        if inputs is not None:
            given = INPUTS.validate_python(inputs)
            self.model = self.model.model_copy(update={"inputs": given, "inputs_from": "given"})

    def inspected(self) -> Any:
        return perform(InspectModel(model=self.model), self.path, silent)

    def compressed(
        self, *steps: Step, outputs: tuple[str, ...] = ("torchscript",), data: DatasetFile | None = None
    ) -> Compression:
        task = Compress(model=self.model, dataset=data, steps=steps, outputs=outputs, seed=0)
        return perform(task, self.path, silent)

    def measured(self, compression: Compression, data: DatasetFile | None = None) -> dict[str, Any]:
        """By role, the upload first: the others are compared with its answers."""
        model = self.model.model_copy(update={"inputs": compression.inputs})
        return {
            file.role: perform(Measure(model=model, dataset=data, file=file, seed=0), self.path, silent)
            for file in compression.files
        }

    def archive(self, compression: Compression) -> Any:
        path = next(file.path for file in compression.files if file.role == "artifact")
        return torch.jit.load(str(self.path / path))
