"""`modelpress serve` keeps its promises about processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from app.cli.embedded_service import Service, running_service
from app.client import Client
from tests.api.conftest import TORCHSCRIPT
from tests.e2e.storm import descendants

pytestmark = pytest.mark.slow


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def children(pid: int) -> dict[str, int]:
    """Pids of the API and the worker."""
    found = {}
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found["worker" if b"worker" in words else "api"] = child
    return found


def living(pids: list[int]) -> list[int]:
    """Without those that ended and that nobody has asked about yet."""
    return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]


def is_at_work(service: Service, name: str, pid: int) -> bool:
    """The API answers that all is ready; a worker is the one whose sign of life the API tells of."""
    try:
        answer = httpx2.get(f"{service.url}/health/ready", timeout=1)
    except httpx2.TransportError:
        return False
    return answer.is_success and (name == "api" or answer.json()["worker"]["id"].endswith(f".{pid}"))


def replace(service: Service, name: str) -> tuple[float, float]:
    """After how many seconds there is another process in the place of the one that is killed, and does its work."""
    before, started = children(service.process.pid), time.monotonic()
    os.kill(before[name], signal.SIGKILL)
    assert within(30, lambda: children(service.process.pid).get(name, before[name]) != before[name])
    after, there = children(service.process.pid), time.monotonic() - started
    assert within(30, lambda: is_at_work(service, name, after[name]))
    assert {**before, name: after[name]} == after
    return there, time.monotonic() - started


def test_an_api_that_is_killed_answers_again_within_five_seconds(service: Service) -> None:
    """In one of three tries: a busy machine delays some, and what is wrong with the service delays all."""
    assert any(replace(service, "api")[1] < 5 for _ in range(3))


def test_a_worker_that_is_killed_is_started_again_within_five_seconds(service: Service) -> None:
    """It may take longer until it is at work: it loads torch and tries its sandbox first."""
    assert replace(service, "worker")[0] < 5


def test_a_request_waits_while_the_api_is_started_again(service: Service) -> None:
    os.kill(children(service.process.pid)["api"], signal.SIGKILL)
    assert httpx2.get(f"{service.url}/health/live", timeout=20).is_success


def test_a_signal_ends_every_process_and_the_exit_code_is_zero(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        everyone = descendants(service.process.pid)
        assert len(everyone) >= 3
    assert service.process.returncode == 0
    assert within(5, lambda: not living(everyone))


def test_a_killed_parent_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        everyone = descendants(service.process.pid)
        service.process.kill()
        assert within(20, lambda: not living(everyone))


def test_a_port_that_is_taken_is_told_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "app.cli", "serve", "--port", port, "--data-dir", str(tmp_path / "data")]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert port in told.stderr
    assert "Traceback" not in told.stderr


def test_a_worker_that_is_asked_to_end_gives_its_job_back_and_the_next_one_does_it(
    service: Service, client: Client
) -> None:
    model = client.upload_model(TORCHSCRIPT)
    recipe = {"steps": [{"technique": "magnitude_pruning"}]}
    job = client.submit({"model": model.id, "recipe": recipe, "outputs": ["state_dict"], "measure": {"repeats": 2000}})
    assert within(60, lambda: client.job(job.id).progress.fraction > 0.1)
    os.kill(children(service.process.pid)["worker"], signal.SIGTERM)
    done = client.wait(job.id, 120)
    assert (done.status, done.attempt, done.losses) == ("succeeded", 2, ())
    assert "released" in [event.type for event in client.events(job.id)]
