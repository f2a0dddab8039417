"""Job folders as a supervisor prepares them, and the tasks that go with them."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from app.core.job_files import DatasetFile, ModelFile
from app.core.recipes import Step
from app.core.tasks import Compress, Compression, InspectModel, Measure, WrittenFile
from tests.worker.networks import CLASSES, Example
from worker.pipeline import perform

MODEL = "inputs/model.pt"
DATA = DatasetFile(path="inputs/data.npz", format="npz")


def silent(_message: object) -> None:
    pass


def job_folder(folder: Path, example: Example, *, scripted: bool = False) -> Path:
    for name in ("inputs", "outputs"):
        (folder / name).mkdir(parents=True)
    save_torchscript(folder / MODEL, example.network(), example, scripted=scripted)
    save_data(folder / DATA.path, example)
    return folder


def save_torchscript(path: Path, network: nn.Module, example: Example, *, scripted: bool = False) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        archive = (
            torch.jit.script(network) if scripted else torch.jit.trace(network, example.inputs(2), check_trace=False)
        )
    torch.jit.save(archive, str(path))


def save_data(path: Path, example: Example, **replaced: np.ndarray) -> None:
    x_train, x_test = example.inputs(40, seed=2).numpy(), example.inputs(20, seed=3).numpy()
    arrays = {
        "x_train": x_train,
        "y_train": np.arange(len(x_train)) % CLASSES,
        "x_test": x_test,
        "y_test": np.arange(len(x_test)) % CLASSES,
    }
    np.savez(path, **(arrays | replaced))


def inspected(folder: Path, *, with_data: bool = True) -> tuple[ModelFile, Any]:
    """The model as a job names it after inspection, and the inspection's answer."""
    model = ModelFile(path=MODEL, format="torchscript")
    answer = perform(InspectModel(model=model, dataset=DATA if with_data else None), folder, silent)
    return model.model_copy(update={"inputs": answer.inputs, "inputs_from": answer.inputs_from}), answer


def compress(
    folder: Path,
    steps: tuple[Step, ...],
    *,
    outputs: tuple[str, ...] = ("onnx",),
    seed: int = 0,
    with_data: bool = True,
    model: ModelFile | None = None,
) -> Compression:
    model = model or inspected(folder, with_data=with_data)[0]
    task = Compress(model=model, dataset=DATA if with_data else None, steps=steps, outputs=outputs, seed=seed)
    return perform(task, folder, silent)


def file_of(compression: Compression, name: str) -> WrittenFile:
    return next(file for file in compression.files if file.name == name)


def measured(folder: Path, model: ModelFile, file: WrittenFile) -> Any:
    return perform(Measure(model=model, dataset=DATA, file=file, seed=0), folder, silent)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
