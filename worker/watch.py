"""Watches a running child: reads what it sends, holds it to its limits, and says how it ended."""

import os
import selectors
import shutil
import signal
import threading
import time
from pathlib import Path

from app.core.storage import NO_SPACE_LEFT
from worker import usage
from worker.child_process import ChildProcess
from worker.failures import (
    BadAnswer,
    Canceled,
    ChildCrashed,
    ChildFailure,
    DiskFull,
    DiskLimit,
    OutOfMemory,
    TimeLimit,
    WorkerLost,
)
from worker.limits import Limits
from worker.messages import LogReader, MessageReader

_TICK_SECONDS = 0.05
_DISK_TICK_SECONDS = 0.25
_CHUNK = 1 << 16
_FORK_SERVER_LOST = 255
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Watch:
    def __init__(self, child: ChildProcess, outputs: Path, limits: Limits, stop: threading.Event) -> None:
        self._child, self._outputs, self._limits, self._stop = child, outputs, limits, stop
        self._end_of_time = time.monotonic() + limits.seconds
        self._next_look_at_disk = 0.0
        self._ended_for_memory = usage.ended_for_memory()
        self.peak_memory_mb = 0.0

    def until_answered(self, messages: MessageReader, log: LogReader) -> None:
        """Read both pipes until the last message is there. Raises a `ChildFailure` when that can't be had."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.messages, selectors.EVENT_READ, messages.feed)
            selector.register(self._child.log, selectors.EVENT_READ, log.feed)
            selector.register(self._child.handle, selectors.EVENT_READ)
            while messages.last is None:
                if _read(selector) and messages.last is None:
                    raise self._reason_of_the_end()
                self._check()
        _drain(self._child, log)

    def _check(self) -> None:
        limits, now = self._limits, time.monotonic()
        if self._stop.is_set():
            raise Canceled("It was ended on request.")
        if now > self._end_of_time:
            raise TimeLimit(f"It was ended by the time limit of {limits.seconds:g} s. {limits.more_seconds}")
        memory_mb = usage.memory_mb(self._child.number)
        self.peak_memory_mb = max(self.peak_memory_mb, memory_mb)
        if memory_mb > limits.memory_mb:
            raise OutOfMemory(f"It was ended by the memory limit of {limits.memory_mb} MB. {limits.more_memory}")
        if now > self._next_look_at_disk:
            self._next_look_at_disk = now + _DISK_TICK_SECONDS
            self._check_disk()

    def _check_disk(self) -> None:
        if usage.disk_mb(self._outputs) > self._limits.disk_mb:
            raise DiskLimit(
                f"It was ended by the disk limit of {self._limits.disk_mb} MB. Ask for fewer outputs or steps, or have "
                "MODELPRESS_DISK_MB raised."
            )
        if shutil.disk_usage(self._outputs).free < self._limits.min_free_bytes:
            raise DiskFull(NO_SPACE_LEFT)

    def _reason_of_the_end(self) -> ChildFailure:
        code = self._child.exit_code()
        if code == _FORK_SERVER_LOST:
            return WorkerLost("The process from which jobs are started was ended. The job is run again.")
        if code >= 0:
            return BadAnswer(f"It ended with exit code {code} and without an answer. The job's log may say why.")
        if -code == signal.SIGKILL and usage.ended_for_memory() > self._ended_for_memory:
            return OutOfMemory(
                "It was ended because the machine's memory ran out. Use a smaller model or a larger machine."
            )
        if -code in _FROM_OUTSIDE:
            return WorkerLost(f"It was ended by {_name(-code)} from outside. The job is run again.")
        return ChildCrashed(
            f"The process that held the model crashed ({_name(-code)}), from a fault in the file or in a library. "
            "Check that the model runs where it was made, and export it again with a current torch."
        )


def _read(selector: selectors.BaseSelector) -> bool:
    """Feed what is there to its reader; true when the child has ended and nothing more is there to read."""
    ready = [key for key, _ in selector.select(_TICK_SECONDS)]
    pipes = [key for key in ready if key.data is not None]
    for key in pipes:
        data = os.read(key.fd, _CHUNK)
        if data:
            key.data(data)
        else:
            selector.unregister(key.fileobj)
    return bool(ready) and not pipes


def _drain(child: ChildProcess, log: LogReader) -> None:
    """What was printed before the last message but not read yet."""
    while child.log.poll(0) and (data := os.read(child.log.fileno(), _CHUNK)):
        log.feed(data)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
