"""A job over a data set of images, from the archive to the report."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from app.client import Client
from tests.worker.image_archives import encoded, write_images

pytestmark = pytest.mark.slow
TRANSFORM = {"size": 12, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def archive(path: Path) -> Path:
    """Dark and bright images: one weight for each class tells them apart."""
    chance = np.random.default_rng(0)
    values = {"bright": (150, 255), "dark": (0, 100)}
    return write_images(
        path,
        {
            f"{side}/{label}/{number}.png": encoded(chance.integers(*values[label], (16, 16, 3)))
            for side, count in (("train", 40), ("test", 20))
            for label in values
            for number in range(count)
        },
    )


def network(path: Path) -> Path:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    buffer = io.BytesIO()
    with torch.no_grad():
        layers[0].weight.fill_(1 / 27)
        layers[4].weight.copy_(torch.tensor([[1.0] * 4, [-1.0] * 4]))
        layers[4].bias.copy_(torch.tensor([0.0, 0.1]))
        torch.jit.save(torch.jit.trace(layers, torch.zeros(1, 3, 12, 12)), buffer)
    path.write_bytes(buffer.getvalue())
    return path


def test_images_calibrate_and_measure(client: Client, tmp_path: Path) -> None:
    model = client.upload_model(network(tmp_path / "network.pt"), inputs=[{"name": "x", "shape": ["batch", 3, 12, 12]}])
    dataset = client.upload_dataset(archive(tmp_path / "images.zip"), transform=TRANSFORM)
    dataset = client.wait_for_dataset(dataset.id, 60)
    assert dataset.status == "ready", dataset.problem
    assert (dataset.classes, dataset.examples) == (2, {"train": 80, "test": 40})
    recipe = {"steps": [{"technique": "static_quantization", "examples": 16}]}
    job = client.wait(client.submit({"model": model.id, "dataset": dataset.id, "recipe": recipe}).id, 120)
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert job.result.baseline.quality is not None
    assert (job.result.baseline.quality.metric, job.result.baseline.quality.value) == ("accuracy", 1.0)
