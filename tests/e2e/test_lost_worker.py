"""A job that trains and loses its worker goes on from its last step, and ends where it would have ended anyway."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.cli.embedded_service import Service, running_service
from app.client import Client
from app.core.events import Event
from app.core.jobs import Job
from examples.demo import HERE
from tests.e2e.storm import HASTY, descendants

TRAINING = {"technique": "fine_tuning", "epochs": 2, "early_stop": False}
RECIPE = {"steps": [TRAINING, {**TRAINING, "epochs": 3}]}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name, value in HASTY.items():
        monkeypatch.setenv(name, value)
    with running_service(tmp_path / "data") as running:
        yield running


def kill_the_worker(service: Service) -> None:
    """With all its children, as when the machine is lost."""
    for pid in descendants(service.process.pid):
        with suppress(OSError):
            if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                for victim in (pid, *descendants(pid)):
                    with suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                return
    raise AssertionError("no worker was found")


def weights_of(client: Client, job: Job) -> str:
    assert job.status == "succeeded", job.error
    return next(a.sha256 for a in client.artifacts(job.id) if a.name == "model.safetensors")


@pytest.mark.slow
def test_the_retried_job_does_not_repeat_a_step(service: Service) -> None:
    with Client(service.url) as client:
        model = client.upload_model(HERE / "mnist_cnn.torchscript.pt").id
        dataset = client.upload_dataset(HERE / "mnist5k.npz").id
        request = {"model": model, "dataset": dataset, "recipe": RECIPE, "outputs": ["state_dict"], "seed": 5}
        request["measure"] = {"repeats": 5}
        undisturbed = client.wait(client.submit(request).id, 200)
        job = client.submit(request)
        events: list[Event] = []
        for event in client.events(job.id):
            events.append(event)
            if event.type == "epoch" and event.data["step"] == 1 and "lost" not in {e.type for e in events}:
                kill_the_worker(service)
        disturbed = client.job(job.id)
        same_weights = weights_of(client, disturbed) == weights_of(client, undisturbed)
    assert (disturbed.attempt, len(disturbed.losses)) == (2, 1)
    types = [event.type for event in events]
    after = events[types.index("lost") :]
    resumed = [event.data["message"] for event in after if event.type == "resumed"]
    assert resumed == ["Continuing after step 1 of 2"]
    assert {event.data["step"] for event in after if event.type == "epoch"} == {1}
    assert same_weights
    assert not list((service.data_dir / "files" / "checkpoints").rglob("*.*"))
