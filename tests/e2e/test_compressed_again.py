"""Every kind of file that is written can be uploaded and compressed again, also as the network of other weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from app.client import Client
from app.core.facts import ModelFacts
from app.core.models import Model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

INPUTS = [{"name": "x", "shape": ["batch", 1, 12, 12]}]
THINNED = {"steps": [{"technique": "structured_pruning", "ratio": 0.5}]}
PRUNED = {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.5}]}
WRITTEN = ("torchscript", "exported_program", "state_dict")


def ready(client: Client, path: Path, **fields: Any) -> Model:
    model = client.wait_for_model(client.upload_model(path, **fields).id, 120)
    assert model.status == "ready", model.problem
    assert facts_of(model).editable == "whole"
    return model


def facts_of(model: Model) -> ModelFacts:
    assert model.facts is not None
    return model.facts


def compressed(client: Client, model: Model, recipe: dict[str, Any], outputs: tuple[str, ...], folder: Path) -> Path:
    job = client.wait(client.submit({"model": model.id, "recipe": recipe, "outputs": list(outputs)}).id, 240)
    assert job.status == "succeeded", job.error
    for artifact in client.artifacts(job.id):
        client.download(job.id, artifact.name, folder)
    return folder


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(),
        nn.Linear(64, 4),
    ).eval()  # fmt: skip


def test_what_was_compressed_is_compressed_again(client: Client, tmp_path: Path, tiny: nn.Module) -> None:
    torch.jit.save(torch.jit.trace(tiny, torch.zeros(2, 1, 12, 12)), tmp_path / "tiny.pt")
    original = ready(client, tmp_path / "tiny.pt", inputs=INPUTS)
    folder = compressed(client, original, THINNED, WRITTEN, tmp_path / "once")
    network = {"source": "network", "network": json.loads((folder / "network.json").read_text())}
    again = [
        ready(client, folder / "model.torchscript.pt"),
        ready(client, folder / "model.pt2"),
        ready(client, folder / "model.safetensors", architecture=network),
    ]
    assert len({facts_of(model).parameters for model in again}) == 1
    assert facts_of(again[0]).parameters < facts_of(original).parameters
    assert [model.inputs_from for model in again[1:]] == ["given", "given"]
    for number, model in enumerate(again):
        result = compressed(client, model, PRUNED, ("state_dict",), tmp_path / f"twice-{number}")
        weights = [one for one in load_file(result / "model.safetensors").values() if one.dim() > 1]
        assert sum(int((one == 0).sum()) for one in weights) == pytest.approx(
            sum(one.numel() for one in weights) / 2, 0.1
        )


@pytest.mark.parametrize("kind", ["torchscript", "exported_program"])
def test_other_weights_take_the_network_of_an_upload(
    client: Client, tmp_path: Path, tiny: nn.Module, kind: str
) -> None:
    path = tmp_path / ("base.pt" if kind == "torchscript" else "base.pt2")
    example = torch.rand(2, 1, 12, 12)
    if kind == "torchscript":
        torch.jit.save(torch.jit.trace(tiny, example), path)
    else:
        torch.export.save(torch.export.export(tiny, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)), path)
    base = ready(client, path)
    assert base.format == kind
    other = {name: tensor + 0.25 for name, tensor in tiny.state_dict().items() if tensor.is_floating_point()}
    save_file({**tiny.state_dict(), **other}, tmp_path / "other.safetensors")
    model = ready(client, tmp_path / "other.safetensors", architecture={"source": "model", "model": base.id})
    folder = compressed(client, model, {"steps": []}, ("state_dict",), tmp_path / "written")
    written = load_file(folder / "model.safetensors")
    assert all(torch.equal(written[name], tensor) for name, tensor in other.items())
