"""What children do in these tests: most of them misbehave."""

import ctypes
import errno
import os
import signal
import sys
import time
from pathlib import Path

import numpy
import torch

from app.core.errors import Invalid
from app.core.facts import ArrayFacts, DatasetFacts
from app.core.messages import Message, Progress, Warn
from app.core.tasks import Task
from worker.child import Report
from worker.training.multithreading import threads

FACTS = DatasetFacts(
    arrays={"x": ArrayFacts(shape=(2, 3), dtype="float32")},
    task="unlabelled",
    examples={"train": 1, "test": 1},
    classes=None,
)


def behave(task: Task, folder: Path, report: Report) -> DatasetFacts:
    report(Progress(fraction=0.5, message="half way"))
    report(Warn(message="careful"))
    print("hello from Python")
    os.write(2, b"hello from the system\n")
    return FACTS


def find_the_disk_full(task: Task, folder: Path, report: Report) -> DatasetFacts:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def find_the_disk_full_in_a_library(task: Task, folder: Path, report: Report) -> DatasetFacts:
    """As torch and OpenVINO say it."""
    raise RuntimeError("write failed: No space left on device")


def tell_surroundings(task: Task, folder: Path, report: Report) -> DatasetFacts:
    """The facts carry what this process can see of itself and of its fork server."""
    numbers = {
        "forkserver": os.getppid(),
        "session": int(os.getsid(0) == os.getpid()),
        "files": len(list(Path("/proc/self/fd").iterdir())) - 1,
        "secrets": sum(name.startswith("MODELPRESS_") for name in os.environ),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "signals": int(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL),
    }
    arrays = {name: ArrayFacts(shape=(number,), dtype="int64") for name, number in numbers.items()}
    return DatasetFacts(arrays=arrays, task="unlabelled", examples={"train": 0, "test": 0}, classes=None)


def multiply_with_two_threads(task: Task, folder: Path, report: Report) -> DatasetFacts:
    """The facts carry how many threads there were before, and while a step asked for two."""
    numbers = {}
    for name, asked in (("alone", 1), ("two", 2)):
        with threads(asked):
            torch.ones(512, 512) @ torch.ones(512, 512)
            numbers[name] = len(list(Path("/proc/self/task").iterdir()))
    arrays = {name: ArrayFacts(shape=(number,), dtype="int64") for name, number in numbers.items()}
    return DatasetFacts(arrays=arrays, task="unlabelled", examples={"train": 0, "test": 0}, classes=None)


def print_for_ever(task: Task, folder: Path, report: Report) -> DatasetFacts:
    while True:
        print("x" * 1000)


def print_in_chunks_and_sleep(task: Task, folder: Path, report: Report) -> DatasetFacts:
    print("started", flush=True)
    time.sleep(600)
    return FACTS


def sleep_deaf_to_signals(task: Task, folder: Path, report: Report) -> DatasetFacts:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(Progress(fraction=0.1, message=str(os.getpid())))
    time.sleep(600)
    return FACTS


def allocate_for_ever(task: Task, folder: Path, report: Report) -> DatasetFacts:
    kept = []
    while True:
        kept.append(torch.ones(1 << 22))
        time.sleep(0.005)


def hold_for_a_moment(task: Task, folder: Path, report: Report) -> DatasetFacts:
    """400 MB, and none of it in the end."""
    held = torch.ones(100_000_000)
    time.sleep(0.5)
    del held
    time.sleep(0.2)
    return FACTS


def ask_for_the_impossible(task: Task, folder: Path, report: Report) -> DatasetFacts:
    numpy.ones(1 << 52)
    return FACTS


def ask_torch_for_the_impossible(task: Task, folder: Path, report: Report) -> DatasetFacts:
    torch.ones(1 << 52)
    return FACTS


def fill_the_disk(task: Task, folder: Path, report: Report) -> DatasetFacts:
    for number in range(1000):
        (folder / "outputs" / str(number)).write_bytes(b"x" * (1 << 20))
        time.sleep(0.005)
    return FACTS


def fill_the_disk_with_names(task: Task, folder: Path, report: Report) -> DatasetFacts:
    for number in range(100_000):
        (folder / "outputs" / str(number)).touch()
    time.sleep(600)
    return FACTS


def write_one_large_file(task: Task, folder: Path, report: Report) -> DatasetFacts:
    with (folder / "outputs" / "large").open("wb") as file:
        for _ in range(1000):
            file.write(b"x" * (1 << 20))
    return FACTS


def crash(task: Task, folder: Path, report: Report) -> DatasetFacts:
    ctypes.string_at(0)
    return FACTS


def abort(task: Task, folder: Path, report: Report) -> DatasetFacts:
    os.abort()


def leave_silently(task: Task, folder: Path, report: Report) -> DatasetFacts:
    os._exit(3)


def exit_politely(task: Task, folder: Path, report: Report) -> DatasetFacts:
    sys.exit(0)


def refuse(task: Task, folder: Path, report: Report) -> DatasetFacts:
    raise Invalid("It has no \x1b[31mlayers\x07.", code="no_layers", title="Nothing to compress", step=2)


def stumble(task: Task, folder: Path, report: Report) -> DatasetFacts:
    raise KeyError("a secret of the library")


def raise_in_the_model(task: Task, folder: Path, report: Report) -> DatasetFacts:
    unit = torch.jit.CompilationUnit("def f(x):\n    raise ValueError('no')\n    return x\n")
    unit.f(torch.ones(1))
    return FACTS


def answer_something_else(task: Task, folder: Path, report: Report) -> Message:
    return Progress(fraction=1, message="not what was asked for")


def _pipe() -> int:
    """The message pipe: all that is open beside the standard files."""
    return next(number for number in range(3, 64) if Path(f"/proc/self/fd/{number}").exists())


def send_garbage(task: Task, folder: Path, report: Report) -> DatasetFacts:
    os.write(_pipe(), b"PK\x03\x04 this is a zip\n")
    time.sleep(600)
    return FACTS


def send_without_end(task: Task, folder: Path, report: Report) -> DatasetFacts:
    while True:
        os.write(_pipe(), b" " * 10_000)


def send_on_after_the_end(task: Task, folder: Path, report: Report) -> DatasetFacts:
    line = b'{"type":"progress","fraction":0,"message":"again"}\n'
    done = b'{"type":"done","answer":{}}\n'
    os.write(_pipe(), done + line)
    time.sleep(600)
    return FACTS


def write_outside(task: Task, folder: Path, report: Report) -> DatasetFacts:
    (folder.parent / "escaped").write_text("x")
    return FACTS


def load_torchscript(task: Task, folder: Path, report: Report) -> DatasetFacts:
    """Loading runs the file's own code; so does calling it."""
    network = torch.jit.load(folder / "inputs" / "model.pt")
    network(torch.ones(1, 2))
    report(Warn(message="the model ran"))
    return FACTS
