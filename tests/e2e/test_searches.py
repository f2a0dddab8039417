"""A search by the real service, from its first trial to the gate."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

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
