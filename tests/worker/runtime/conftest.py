"""A fork server as the worker has it, and children over temporary folders."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.job_files import DatasetFile
from app.core.messages import Message
from app.core.tasks import Answer, InspectDataset, Task
from worker import forkserver
from worker.children import run_child
from worker.limits import Limits

TASK = InspectDataset(dataset=DatasetFile(path="inputs/data.npz", format="npz"))


@pytest.fixture(scope="package", autouse=True)
def prepared_forkserver() -> Iterator[None]:
    before = dict(os.environ)
    os.environ["MODELPRESS_SECRET"] = "hush"
    forkserver.prepare()
    yield
    os.environ.clear()
    os.environ.update(before)


class Run:
    """Runs a function of `performances` in a child over one job's folder, and keeps what came out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[Message] = []
        self.log = b""
        self.memory_mb = 0.0
        self.stop = threading.Event()
        self.listener: Callable[[Any], object] | None = None

    def __call__(self, name: str, task: Task = TASK, allow_unsandboxed: bool = False, **limits: float) -> Answer:
        return run_child(
            self.folder,
            task,
            Limits(**{"seconds": 30, "memory_mb": 4096, "disk_mb": 64} | limits),
            on_message=self._listen,
            on_log=self._keep,
            on_memory=lambda peak_mb: setattr(self, "memory_mb", peak_mb),
            stop=self.stop,
            perform=f"tests.worker.runtime.{name}" if ":" in name else f"tests.worker.runtime.performances:{name}",
            allow_unsandboxed=allow_unsandboxed,
        )

    def _listen(self, message: Message) -> None:
        self.messages.append(message)
        if self.listener is not None:
            self.listener(message)

    def _keep(self, data: bytes) -> None:
        self.log += data


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "job"
    (folder / "inputs").mkdir(parents=True)
    return Run(folder)
