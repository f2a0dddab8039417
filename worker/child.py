"""The child's side: a folder in, a folder out. Runs in a process forked for one task.

Nothing here is a matter of trust: the parent checks and limits from outside. The order is: leave the parent's
session and terminal, shut oneself in, and only then touch the upload.
"""

import faulthandler
import importlib
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from app.core.errors import Problem
from app.core.messages import Done, Failed, Message
from app.core.schemas import Schema
from app.core.storage import NO_SPACE_LEFT, is_no_space_left
from app.core.tasks import TASK, Compress, InspectDataset, Task
from worker import sandbox
from worker.failures import OWN_CODE, ChildFailure, DiskFull, OutOfMemory, own_code_refused

Report = Callable[[Message], None]
Perform = Callable[[Task, Path, Report], Schema]

_MEMORY_PHRASES = ("can't allocate memory", "not enough memory", "Failed to allocate memory", "bad allocation")


def main(
    messages: Connection, log: Connection, folder: str, perform: str, disk_mb: int, allow_unsandboxed: bool
) -> None:
    """Never returns: the process ends as soon as the last message is sent, without any destructor."""
    os.setsid()
    _keep_only(messages, log)
    report = _reporter(messages)
    try:
        report(_outcome(Path(folder), perform, disk_mb, allow_unsandboxed, report))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _keep_only(messages: Connection, log: Connection) -> None:
    """The log becomes stdout and stderr; of what was inherited only the message pipe stays open."""
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    for standard in (1, 2):
        os.dup2(log.fileno(), standard)
    os.closerange(3, messages.fileno())
    os.closerange(messages.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable(file=2, all_threads=False)


def _reporter(messages: Connection) -> Report:
    lock = threading.Lock()

    def report(message: Message) -> None:
        line = message.model_dump_json().encode() + b"\n"
        with lock:
            while line:
                line = line[os.write(messages.fileno(), line) :]

    return report


def _outcome(folder: Path, perform: str, disk_mb: int, allow_unsandboxed: bool, report: Report) -> Done | Failed:
    try:
        task = TASK.validate_json((folder / "task.json").read_bytes())
        function = _named(perform)
        level = sandbox.enter(folder, disk_mb)
        if level.name != "full" and not allow_unsandboxed:
            _refuse_own_code(task)
        _settle(task, folder)
        return Done(answer=function(task, folder, report).model_dump(mode="json"))
    except Problem as problem:
        if problem.__cause__ is not None:
            traceback.print_exc()
        return Failed(problem=problem.body())
    except BaseException as error:
        traceback.print_exc()
        return Failed(problem=_explained(error).body())


def _named(perform: str) -> Perform:
    module, _, name = perform.partition(":")
    function: Perform = getattr(importlib.import_module(module), name)
    return function


def _refuse_own_code(task: Task) -> None:
    if isinstance(task, InspectDataset):
        return
    files = (task.model, *(task.models.values() if isinstance(task, Compress) else ()))
    if any(file.formats() & OWN_CODE for file in files):
        raise own_code_refused()


def _settle(task: Task, folder: Path) -> None:
    """Same seed, same result; temporary files where they may be written; one thread unless the task says otherwise."""
    import torch

    from worker.seeding import seed_everything

    tempfile.tempdir = str(folder / "outputs")
    seed_everything(getattr(task, "seed", 0))
    torch.set_num_threads(1)


def _explained(error: BaseException) -> Problem:
    """A sentence in place of a library's own text; that, with the traceback, is in the job's log only."""
    if isinstance(error, MemoryError) or any(phrase in str(error) for phrase in _MEMORY_PHRASES):
        return OutOfMemory("It asked for more memory than there is. Use a smaller model, data set or batch size.")
    if is_no_space_left(error):
        return DiskFull(NO_SPACE_LEFT)
    if type(error).__name__ == "JITException" or type(error).__module__.startswith("torch.jit"):
        return ChildFailure(
            "The model's own code raised an exception; the job's log has its text. Check that the model runs on inputs "
            "of the shapes that were given with it.",
            code="model_failed",
            title="The model failed while it ran",
        )
    return ChildFailure(
        f"The work on the model stopped with an error that was not foreseen ({type(error).__name__}); the job's log "
        "has the details. Report it with that log.",
        code="internal_error",
        title="The service failed",
    )
