"""State dicts whose network nobody knows, through the real service and its sandbox."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.client import Client, ClientProblem
from app.core.jobs import Job
from app.core.models import Model
from tests.api.conftest import DATASET

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PRUNED_INT8 = {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.5}, {"technique": "weight_quantization"}]}


def network(width: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(50, width), nn.ReLU(), nn.BatchNorm1d(width), nn.Linear(width, 4)).eval()


def saved(folder: Path, width: int) -> Path:
    """As training scripts save it: nested, from DataParallel, with other things beside it."""
    weights = nn.DataParallel(network(width)).state_dict()
    torch.save({"model_state_dict": weights, "epoch": 3}, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def ready(client: Client, path: Path, **fields: Any) -> Model:
    model = client.wait_for_model(client.upload_model(path, **fields).id, 120)
    assert model.status == "ready", model.problem
    return model


def done(client: Client, job: Job) -> Job:
    job = client.wait(job.id, 240)
    assert job.status == "succeeded", job.error
    return job


def downloaded(client: Client, job: Job, folder: Path) -> dict[str, Tensor]:
    """By the lines that the report prints, in a process of its own."""
    for artifact in client.artifacts(job.id):
        client.download(job.id, artifact.name, folder)
    script = (
        "import sys, torch; sys.path.insert(0, '.')\n"
        "from load_network import load_state_dict\n"
        "torch.save(load_state_dict('network.json', 'model.safetensors'), 'weights.pt')\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, check=True)
    loaded: dict[str, Tensor] = torch.load(folder / "weights.pt", weights_only=True)
    return loaded


def test_weights_alone_are_compressed_and_load_under_their_names(client: Client, tmp_path: Path) -> None:
    model = ready(client, saved(tmp_path, 300))
    assert (model.architecture, model.inputs, model.inputs_from) == (None, None, None)
    assert model.facts.blocked_by[0].operator == "forward"
    assert '"source": "layers"' in model.facts.blocked_by[0].advice
    job = done(client, client.submit({"model": model.id, "recipe": PRUNED_INT8, "outputs": ["state_dict"]}))
    assert job.result.best == "model.safetensors"
    assert job.result.comparison.speedup is None
    assert job.result.baseline.latency_ms == ()
    assert job.result.artifacts[0].verified.max_difference == 0
    weights = downloaded(client, job, tmp_path / "out")
    fresh = network(300)
    fresh.load_state_dict(weights)
    assert all(weights[name].shape == tensor.shape for name, tensor in network(300).state_dict().items())
    assert float((weights["0.weight"] == 0).float().mean()) > 0.4
    assert torch.equal(weights["2.running_mean"], fresh[2].running_mean)
    with zipfile.ZipFile(tmp_path / "out" / "bundle.zip") as bundle:
        assert {"model.safetensors", "network.json", "load_network.py", "README.md"} < set(bundle.namelist())
    for kind in ("report.html", "report.md"):
        assert "neither speed nor quality could be measured" in (tmp_path / "out" / kind).read_text()


def test_what_needs_the_network_is_refused_before_it_is_queued(client: Client, tmp_path: Path) -> None:
    model = ready(client, saved(tmp_path, 20))
    for recipe, outputs, code in (
        ({"steps": [{"technique": "fine_tuning"}]}, ["state_dict"], "technique_unavailable"),
        ({"preset": "fast"}, ["state_dict"], "preset_unavailable"),
        ({"preset": "safe"}, ["onnx"], "output_unavailable"),
    ):
        with pytest.raises(ClientProblem) as refused:
            client.submit({"model": model.id, "recipe": recipe, "outputs": outputs})
        assert (refused.value.status, refused.value.code) == (422, code)


def test_everything_in_one_call(client: Client, tmp_path: Path) -> None:
    wanted = {"recipe": {"preset": "safe"}, "outputs": ["auto"]}
    job = done(client, client.submit_files(saved(tmp_path, 90), wanted, dataset_file=DATASET))
    sizes = {each.name: each.size_bytes for each in job.result.artifacts}
    assert sizes.keys() >= {f"model.{one}.safetensors" for one in ("float32", "float16", "int8-weights")}
    assert job.result.best == min(sizes, key=lambda name: sizes[name])
    assert any("The data set was not used" in warning for warning in job.result.warnings)


def test_the_network_may_come_later(client: Client, tmp_path: Path) -> None:
    path = saved(tmp_path, 30)
    assert ready(client, path).facts.runs is False
    assert ready(client, path).architecture is None  # not recognized by weights that have no network themselves
    layers = [
        {"type": "Linear", "in_features": 50, "out_features": 30}, {"type": "ReLU"},
        {"type": "BatchNorm1d", "num_features": 30}, {"type": "Linear", "in_features": 30, "out_features": 4},
    ]  # fmt: skip
    described = ready(client, path, architecture={"source": "layers", "layers": layers})
    assert described.facts.editable == "whole"
    assert ready(client, path).architecture_from == "recognized"
