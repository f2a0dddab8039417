"""Several jobs train at once, each in processes of its own."""

from pathlib import Path

import numpy as np
import pytest

from app.cli.embedded_service import running_service
from app.client import Client
from app.core.events import Event
from examples.demo import HERE

TRAINING = {"technique": "fine_tuning", "epochs": 3, "early_stop": False}
EXAMPLES = 1000


def training_time(events: list[Event]) -> tuple[float, float]:
    """From the job's start to its last epoch."""
    start = next(event.time for event in events if event.type == "started")
    return start.timestamp(), max(event.time.timestamp() for event in events if event.type == "epoch")


def some_examples(path: Path) -> Path:
    with np.load(HERE / "mnist5k.npz") as all_of_them:
        np.savez(path, **{name: array[:EXAMPLES] for name, array in all_of_them.items()})
    return path


@pytest.mark.slow
def test_two_slots_train_two_networks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPRESS_SLOTS", "2")
    with running_service(tmp_path / "data") as service, Client(service.url) as client:
        model = client.upload_model(HERE / "mnist_cnn.torchscript.pt").id
        dataset = client.upload_dataset(some_examples(tmp_path / "some.npz")).id
        request = {"model": model, "dataset": dataset, "measure": {"repeats": 5}}
        ids = [
            client.submit({**request, "recipe": {"steps": [{**TRAINING, "threads": threads}]}}).id for threads in (1, 2)
        ]
        assert [client.wait(job, 250).status for job in ids] == ["succeeded", "succeeded"]
        first, second = (training_time(list(client.events(job))) for job in ids)
        curves = [client.job(job).result.steps[0].epochs for job in ids]  # type: ignore[union-attr]
    assert max(first[0], second[0]) < min(first[1], second[1])
    assert [len(curve) for curve in curves] == [3, 3]
    assert all(curve[-1].validation_quality > 0.9 and curve[-1].loss < curve[0].loss for curve in curves)
