"""Child processes that are started again when they die."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import typer

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 4.0
HEALTHY_AFTER_SECONDS = 10.0
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class KeptProcess:
    """One process. The wait before a start doubles while it keeps dying young."""

    def __init__(self, name: str, command: Sequence[str], inherited: Sequence[int] = ()) -> None:
        self._name = name
        self._command = command
        self._inherited = inherited
        self._delay = FIRST_DELAY_SECONDS
        self._restart_at: float | None = None
        self._start()

    def tend(self) -> None:
        """To be called often: sees that the process ended, and starts it again when its time has come."""
        now = time.monotonic()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._start()
        elif self._process.poll() is not None:
            lived = now - self._started_at
            self._delay = FIRST_DELAY_SECONDS if lived > HEALTHY_AFTER_SECONDS else self._delay
            self._restart_at = now + self._delay
            self._delay = min(self._delay * 2, LONGEST_DELAY_SECONDS)
            typer.echo(f"the {self._name} ended ({_end(self._process.returncode)}); it is started again", err=True)

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            typer.echo(f"the {self._name} did not stop in time and is killed", err=True)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        # A session of its own, so that Ctrl-C in a terminal reaches only the parent, which then stops all in order.
        self._process = subprocess.Popen(  # noqa: S603
            self._command, pass_fds=self._inherited, start_new_session=True, preexec_fn=end_with_parent
        )
        self._started_at = time.monotonic()
        self._restart_at = None


def end_with_parent() -> None:
    """Even a parent that was killed leaves nothing behind that holds its port or its jobs."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
