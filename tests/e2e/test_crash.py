"""`kill -9` and SIGSTOP on random processes, jobs submitted all along: nothing is lost, nothing published twice."""

import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.settings import Settings
from tests.e2e.storm import Service, Submitter, freeze_in_turn, rage, until_answered, violations, written_by_two

SECONDS = float(os.environ.get("MODELPRESS_STORM_SECONDS", "60"))
FENCED = [sys.executable, "-m", "worker"]
UNFENCED = [sys.executable, str(Path(__file__).with_name("worker_without_fencing.py"))]
LAYERS = {"source": "layers", "layers": [{"type": "Linear", "name": "fc", "in_features": 4, "out_features": 2}]}

Storm = Callable[[Service, float, random.Random], dict[str, int]]
Judge = Callable[[Settings, dict[str, set[str]]], list[str]]


def tiny_weights(folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(2)}, folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def weather(
    folder: Path, worker: list[str], storm: Storm, patience: float, judge: Judge
) -> tuple[list[str], dict[str, int]]:
    """What the judge finds `patience` seconds after a storm, and what the storm did. The seed is for a second look."""
    seed = random.randrange(1 << 32)
    print(f"storm seed {seed}")
    service = Service(folder / "data", free_port(), worker)
    try:
        upload = {"file": ("tiny.safetensors", tiny_weights(folder).read_bytes())}
        fields = {"architecture": json.dumps(LAYERS)}
        model = until_answered("POST", f"{service.url}/v1/models", files=upload, data=fields)["id"]
        submitter = Submitter(service.url, model)
        submitter.start()
        done = storm(service, SECONDS, random.Random(seed))
        submitter.stopping.set()
        wait_for_the_end(service, submitter, time.monotonic() + patience)
        return judge(service.settings, submitter.jobs), {**done, "jobs": len(submitter.jobs)}
    finally:
        service.end()


def wait_for_the_end(service: Service, submitter: Submitter, deadline: float) -> None:
    while submitter.is_alive() and time.monotonic() < deadline:
        service.restart_the_dead()
        submitter.join(timeout=0.2)
    for ids in submitter.jobs.values():
        for job in ids:
            while not until_answered("GET", f"{service.url}/v1/jobs/{job}")["done"] and time.monotonic() < deadline:
                service.restart_the_dead()
                time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_storm_breaks_no_promise(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    broken, done = weather(tmp_path, FENCED, rage, 240, violations)
    print(done)
    assert broken == []
    assert done["jobs"] >= 5
    assert done["kills"] >= 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_the_fencing_token_a_storm_does_break_them(tmp_path: Path) -> None:
    """Shows that the test above would notice: jobs end twice, which the token alone forbids."""
    (tmp_path / "data").mkdir()
    broken, done = weather(tmp_path, UNFENCED, freeze_in_turn, 5, lambda settings, _: written_by_two(settings))
    print(done, broken)
    assert broken
