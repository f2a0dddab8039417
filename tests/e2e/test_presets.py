"""A preset on an archive that keeps its own forward: it gets what it can, and says where that is nothing."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.client import Client
from app.core.models import Model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

INPUTS = [{"name": "x", "shape": ["batch", 6]}]


class Choosing(nn.Module):
    """A branch that data choose."""

    def __init__(self) -> None:
        super().__init__()
        self.usual = nn.Sequential(nn.Linear(6, 1024), nn.ReLU(), nn.Linear(1024, 6))
        self.rare = nn.Sequential(nn.Linear(6, 1024), nn.ReLU(), nn.Linear(1024, 6))

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.abs().max() < 1000):
            return self.usual(x)
        return self.rare(x)


@pytest.fixture
def partly_editable(client: Client, tmp_path: Path) -> Model:
    torch.jit.save(torch.jit.script(Choosing().eval()), str(tmp_path / "choosing.pt"))
    model = client.wait_for_model(client.upload_model(tmp_path / "choosing.pt", inputs=INPUTS).id, 120)
    assert model.facts is not None
    assert model.facts.editable == "partly"
    return model


def test_what_keeps_its_forward_gets_smaller_or_is_said_not_to(client: Client, partly_editable: Model) -> None:
    jobs = [
        client.submit({"model": partly_editable.id, "recipe": {"preset": preset}, "outputs": ["torchscript"]})
        for preset in ("small", "fast")
    ]
    small, fast = (client.wait(job.id, 240).result for job in jobs)
    assert small is not None
    assert small.comparison.size_ratio > 2
    assert not any("Nothing was compressed" in warning for warning in small.warnings)
    assert fast is not None
    assert fast.steps == ()
    assert any(warning.startswith("Nothing was compressed: the preset fast") for warning in fast.warnings)
