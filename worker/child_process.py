"""A child as its parent holds it: started, known by a handle that can't come to mean another process, and ended."""

import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from worker import child as child_side
from worker import forkserver
from worker.failures import WorkerLost

_GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class ChildProcess:
    """`handle` becomes readable when the process has ended, whoever its parent is."""

    process: ForkServerProcess
    handle: int
    messages: Connection
    log: Connection

    @property
    def number(self) -> int:
        assert self.process.pid
        return self.process.pid

    def exit_code(self) -> int:
        return forkserver.exit_code(self.process)


@contextmanager
def started(folder: Path, perform: str, disk_mb: int, allow_unsandboxed: bool) -> Iterator[ChildProcess]:
    """A running child, which is gone when the block is left. Raises `WorkerLost` when none can be started."""
    messages, their_messages = Pipe(duplex=False)
    log, their_log = Pipe(duplex=False)
    with messages, log:
        with their_messages, their_log:
            arguments = (their_messages, their_log, str(folder), perform, disk_mb, allow_unsandboxed)
            process, handle = _start(*arguments)
        child = ChildProcess(process, handle, messages, log)
        try:
            yield child
        finally:
            _end(child)


def _start(*arguments: object) -> tuple[ForkServerProcess, int]:
    try:
        process = forkserver.start(child_side.main, *arguments)
        assert process.pid
        return process, os.pidfd_open(process.pid)
    except (OSError, EOFError) as error:
        raise WorkerLost("The process was lost while it started. The job is run again.") from error


def _end(child: ChildProcess) -> None:
    """Ask, then force, then wait until it is gone, with everything that it may have started."""
    _send(child, signal.SIGTERM)
    if not _gone(child, _GRACE_SECONDS):
        _send(child, signal.SIGKILL)
        _gone(child, None)
    _send(child, signal.SIGKILL)
    child.exit_code()
    child.process.close()
    os.close(child.handle)


def _send(child: ChildProcess, what: signal.Signals) -> None:
    """To the child, and to its group: without a sandbox it may have started others."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(child.handle, what)
    with suppress(ProcessLookupError):
        os.killpg(child.number, what)


def _gone(child: ChildProcess, seconds: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(child.handle, selectors.EVENT_READ)
        return bool(selector.select(seconds))
