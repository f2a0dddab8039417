"""A search by the real service, from its first trial to the gate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.cli.embedded_service import Service, running_service
from app.client import Client
from app.core.measurements import Result
from app.core.result_warnings import OF_A_TRIAL

TEST_EXAMPLES = 600


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MODELPRESS_SLOTS", "2")
        with running_service(tmp_path_factory.mktemp("searches") / "data") as running:
            yield running


@pytest.fixture(scope="module")
def material(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small network, and examples labelled as it answers them."""
    folder = tmp_path_factory.mktemp("material")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3)).eval()
    arrays = {}
    for part, count in (("train", 400), ("test", TEST_EXAMPLES)):
        examples = torch.randn(count, 8)
        arrays |= {f"x_{part}": examples.numpy(), f"y_{part}": network(examples).argmax(1).numpy()}
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 8)), folder / "network.pt")
    np.savez(folder / "data.npz", **arrays)
    with Client(service.url) as client:
        model = client.upload_model(folder / "network.pt").id
        return {"model": model, "dataset": client.upload_dataset(folder / "data.npz").id}


@pytest.mark.slow
def test_it_finds_a_recipe_and_judges_it_by_examples_that_no_trial_saw(
    service: Service, material: dict[str, str]
) -> None:
    search = {"budget": {"max_quality_drop": 0.05}, "minimize": "size", "trials": 5, "seconds": 120}
    asked = {**material, "search": search, "outputs": ["onnx"], "measure": {"repeats": 5}}
    with Client(service.url) as client:
        study = client.wait_for_study(client.submit_study(asked).id, 200)
        assert (study.status, len(study.points)) == ("succeeded", 5)
        assert study.best is not None
        assert study.best.met_budget == "proved"
        best = client.job(study.best.job).result
        assert isinstance(best, Result)
        assert best.compressed.quality is not None
        assert best.compressed.size_bytes < best.baseline.size_bytes
        gates = [job for job in client.jobs(limit=20) if job.kind == "gate"]
        assert [job.result for job in gates] == [study.gate]
        assert study.gate is not None
        half = TEST_EXAMPLES // 2
        assert (best.compressed.quality.examples, study.gate.baseline.examples) == (half, half)
        assert study.best.job in {file.job for file in study.gate.files}
        assert all(file.speedup is not None and file.peak_memory_mb is not None for file in study.gate.files)
        assert OF_A_TRIAL in best.warnings
        assert "On examples that no trial saw" in client.study_report(study.id)


def uploaded(service: Service, folder: Path, network: nn.Module, **arrays: Tensor) -> dict[str, str]:
    """What a search names."""
    torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(1, 8)), folder / "network.pt")
    np.savez(folder / "data.npz", **{name: array.detach().numpy() for name, array in arrays.items()})
    with Client(service.url) as client:
        model = client.upload_model(folder / "network.pt").id
        return {"model": model, "dataset": client.upload_dataset(folder / "data.npz").id}


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["floats", "none"])
def test_it_searches_by_squared_error_and_by_agreement_too(service: Service, tmp_path: Path, labels: str) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1 if labels == "floats" else 3))
    x_train, x_test = torch.randn(300, 8), torch.randn(200, 8)
    if labels == "floats":
        arrays = {"y_train": network(x_train)[:, 0], "y_test": network(x_test)[:, 0] + 0.5 * torch.randn(200)}
    else:
        arrays = {}
    asked = uploaded(service, tmp_path, network, x_train=x_train, x_test=x_test, **arrays)
    search = {"budget": {"max_quality_drop": 0.1}, "trials": 3, "seconds": 120}
    with Client(service.url) as client:
        study = client.wait_for_study(
            client.submit_study({**asked, "search": search, "outputs": ["onnx"], "measure": {"repeats": 5}}).id, 200
        )
        assert (study.status, study.failures, len(study.points)) == ("succeeded", (), 3)
        assert study.metric == ("mean_squared_error" if labels == "floats" else "agreement")
        assert study.best is not None
        assert study.best.met_budget in ("proved", "measured")
        assert study.metric.replace("_", " ") in study.best.why
        assert all(point.quality is not None for point in study.points)
