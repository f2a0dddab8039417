"""`serve`: an API and a worker as child processes of a parent that holds the listening socket.

Since the parent holds the socket, callers wait a moment where the API died, and are not refused.
"""

import signal
import socket
import threading
import time

import httpx2
import typer

from app.cli.migrating import PYTHON, finish_migration, start_migration
from app.cli.processes import KeptProcess
from app.core.settings import Settings

TEND_SECONDS = 0.2
STOP_SECONDS = 30.0
BACKLOG = 2048

WORKER = (*PYTHON, "worker")


def keep_serving(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; then both children are ended."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with _listen(settings.host, settings.port) as listening:
        finish_migration(start_migration())
        api = [*PYTHON, "app.cli", "api", "--socket", str(listening.fileno())]
        kept = [KeptProcess("API", api, inherited=[listening.fileno()]), KeptProcess("worker", WORKER)]
        try:
            _tend(kept, stopping, _local_url(listening))
        finally:
            _stop(kept)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        typer.secho(f"Can't listen on {host} port {port}: {error.strerror}. Give others with --host, --port.", err=True)
        raise typer.Exit(1) from error


def _local_url(listening: socket.socket) -> str:
    """Where this machine reaches the socket: an address that stands for all of them is not one to call."""
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{reachable}:{port}"


def _tend(kept: list[KeptProcess], stopping: threading.Event, url: str) -> None:
    with httpx2.Client(base_url=url, timeout=1, trust_env=False) as http:
        told = False
        while not stopping.wait(TEND_SECONDS):
            for process in kept:
                process.tend()
            if not told and _is_ready(http):
                typer.echo(f"ready {url}")
                told = True


def _is_ready(http: httpx2.Client) -> bool:
    try:
        return http.get("/health/ready").is_success
    except httpx2.TransportError:
        return False


def _stop(kept: list[KeptProcess]) -> None:
    for process in kept:
        process.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    for process in kept:
        process.wait_or_kill(deadline)
