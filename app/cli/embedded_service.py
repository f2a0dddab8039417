"""A service of one program's own: `modelpress serve` on a free port of this machine, ended with the block it is for."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.cli.migrating import PYTHON
from app.cli.processes import end_with_parent
from app.core.errors import Problem

START_SECONDS = 180
STOP_SECONDS = 60
LINES_TOLD = 5
FOR_ITSELF = ("--host", "127.0.0.1", "--port", "0")


@dataclass(frozen=True)
class Service:
    """A running `modelpress serve`; `url` once API and worker can both work."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path


class DidNotStart(Problem):
    default_code, default_title = "did_not_start", "The service could not be started"


@contextmanager
def running_service(data_dir: Path, *options: str, log: IO[str] | None = None) -> Iterator[Service]:
    """Ended when the block is left, or when it isn't ready in time. `log` takes its stderr in the place of ours.

    A session of its own keeps Ctrl-C from it, so that it still answers while the block is being left.
    """
    command = [*PYTHON, "app.cli", "serve", *FOR_ITSELF, "--data-dir", str(data_dir), *options]
    environment = {**os.environ, "MODELPRESS_LOG_LEVEL": "warning"}
    with subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=end_with_parent,
    ) as process:
        try:
            yield Service(_wait_until_ready(process), process, data_dir)
        finally:
            _end(process)


@contextmanager
def service_of_a_command(data_dir: Path | None = None) -> Iterator[Service]:
    """Without a folder it gets a temporary one. Signals that would end the command leave the block as Ctrl-C does.

    Raises DidNotStart with the last of what it said.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="modelpress-") as temporary:
        folder = (data_dir or Path(temporary)).absolute()
        with (Path(temporary) / "service.log").open("w+") as log:
            try:
                with running_service(folder, log=log) as service:
                    yield service
            except DidNotStart as problem:
                log.seek(0)
                problem.detail = "\n".join([*log.read().splitlines()[-LINES_TOLD:], problem.detail])
                raise


def _wait_until_ready(process: subprocess.Popen[str]) -> str:
    too_late = threading.Timer(START_SECONDS, process.terminate)
    too_late.start()
    try:
        for line in process.stdout or ():
            if line.startswith("ready "):
                return line.split()[1]
    finally:
        too_late.cancel()
    raise DidNotStart("It didn't become ready. Its own words are above; `modelpress serve` alone may say more.")


def _end(process: subprocess.Popen[str]) -> None:
    """Also when Ctrl-C is pressed once more."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        signal.signal(signal.SIGINT, before)
