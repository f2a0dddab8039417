"""The process from which children are forked: torch is imported once, so a child starts in milliseconds.

It must stay single-threaded (a lock that another thread holds would stay locked in every child) and hold nothing that
a child must not have. It inherits this process's environment whenever it is started again, so this process gives up
its own.
"""

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess

PRELOAD = "worker.preload"

_KEPT = frozenset({"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})
_SET = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Its telemetry starts a thread when it is imported and reports to its maker.
    "ORT_DISABLE_TELEMETRY": "1",
}

# The path of a socket has at most 107 bytes, of which multiprocessing's own names take 32.
_LONGEST_TEMPORARY, _SHORT_TEMPORARY = 75, "/tmp"  # noqa: S108

# multiprocessing asks after every living child when it starts one, so a second thread could read a child's end twice.
_one_at_a_time = threading.Lock()


def prepare() -> None:
    """Drop all but a few environment variables, then start the fork server, which goes on importing by itself.

    To be called once, as soon as the settings are read and before other threads are started.
    """
    for name in set(os.environ) - _KEPT:
        del os.environ[name]
    os.environ.update(_SET)
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TEMPORARY:
        tempfile.tempdir = _SHORT_TEMPORARY
    multiprocessing.set_forkserver_preload([PRELOAD])
    forkserver.ensure_running()


def start(target: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Run `target(*arguments)` in a child. Raises OSError or EOFError when the fork server is lost meanwhile.

    Starts the fork server where there is none (seconds); a child then takes milliseconds.
    """
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments, daemon=True)
    with _one_at_a_time:
        process.start()
    return process


def exit_code(process: ForkServerProcess) -> int:
    """Wait for the end of a child that is known to be ending. 255 when the fork server ended before it could tell."""
    with _one_at_a_time:
        process.join()
    assert process.exitcode is not None
    return process.exitcode
