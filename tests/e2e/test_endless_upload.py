"""An upload whose own code never ends keeps no other waiting, and is told apart when its inspection is canceled."""

from pathlib import Path

import httpx2
import pytest
import torch
from torch import Tensor, nn

from app.cli.embedded_service import running_service
from app.client import Client
from examples.demo import HERE

INPUTS = [{"name": "x", "shape": ["batch", 4]}]


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        count = 0
        while count >= 0:
            count = (count + 1) % 1000
        return x


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless.pt"
    torch.jit.script(Endless()).save(str(path))
    return path


@pytest.mark.slow
def test_another_upload_is_inspected_meanwhile(tmp_path: Path, endless: Path) -> None:
    with running_service(tmp_path / "data") as service, Client(service.url) as client:
        stuck = client.upload_model(endless, inputs=INPUTS).id
        model = client.upload_model(HERE / "mnist_cnn.torchscript.pt").id
        assert client.wait_for_model(model, 60).status == "ready"
        assert client.model(stuck).status == "inspecting"
        (inspection,) = httpx2.get(f"{service.url}/v1/jobs", params={"kind": "inspect", "model": stuck}).json()["data"]
        httpx2.post(f"{service.url}{inspection['urls']['cancel']}").raise_for_status()
        rejected = client.wait_for_model(stuck, 60)
    assert rejected.problem is not None
    assert (rejected.status, rejected.problem.code) == ("rejected", "inspection_canceled")
