"""An API of its own for a benchmark: started, waited for, ended; what a process uses. No benchmark itself."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from app.cli.processes import end_with_parent


@dataclass(frozen=True)
class Running:
    url: str
    pid: int
    seconds_to_answer: float


@contextmanager
def running_api() -> Iterator[Running]:
    """`modelpress api` on a free port, once it answers; ended with this process, however that ends."""
    with tempfile.TemporaryDirectory() as folder, _free_port() as port:
        arguments = [sys.executable, "-m", "app.cli", "api", "--port", str(port), "--data-dir", folder]
        silent: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started = time.perf_counter()
        process = subprocess.Popen(arguments, preexec_fn=end_with_parent, **silent)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/health/live")
            yield Running(url, process.pid, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    for _ in range(6000):
        try:
            if httpx2.get(url, timeout=5).is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.01)
    raise TimeoutError(url)


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    yield port


def bytes_written(pid: int) -> int:
    """To any file or pipe, by this process."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise ValueError("write_bytes")
