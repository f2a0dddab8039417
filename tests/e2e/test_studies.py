"""Studies by the real service: what they share changes nothing, and what fails doesn't spoil the rest."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.cli.embedded_service import Service, running_service
from app.client import Client
from app.core.jobs import Job
from examples.demo import HERE

TRAINING = {"technique": "fine_tuning", "epochs": 1}
PRUNING = {"technique": "structured_pruning", "ratio": 0.5, "criterion": "random"}
INT8 = {"technique": "static_quantization", "examples": 20}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MODELPRESS_SLOTS", "2")
        with running_service(tmp_path_factory.mktemp("studies") / "data") as running:
            yield running


@pytest.fixture(scope="module")
def material(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The example, with few of its data."""
    few = tmp_path_factory.mktemp("data") / "few.npz"
    with np.load(HERE / "mnist5k.npz") as data:
        np.savez(few, **{name: data[name][:200] for name in data.files})
    with Client(service.url) as client:
        model = client.upload_model(HERE / "mnist_cnn.torchscript.pt").id
        return {"model": model, "dataset": client.upload_dataset(few).id}


def written(client: Client, job: Job) -> dict[str, str]:
    """What a job made of the network, by its content."""
    assert job.status == "succeeded", job.error
    return {a.name: a.sha256 for a in client.artifacts(job.id) if a.name.startswith("model.")}


@pytest.mark.slow
def test_shared_steps_are_run_once_and_the_files_are_the_same(service: Service, material: dict[str, str]) -> None:
    recipes = [{"steps": steps} for steps in ([TRAINING], [TRAINING, PRUNING], [TRAINING, PRUNING, INT8], [INT8])]
    alike = {**material, "measure": {"repeats": 5}}
    with Client(service.url) as client:
        started = client.submit_study({**alike, "recipes": recipes, "controls": False})
        study = client.wait_for_study(started.id, 300)
        assert study.status == "succeeded", study.failures
        assert (study.saved.steps_run, study.saved.steps_shared) == (4, 3)
        ran_by = [[step.run_by for step in client.job(point.job).result.steps] for point in study.points]
        first, second = study.points[0].job, study.points[1].job
        assert ran_by == [[None], [first, None], [first, second, None], [None]]
        for point in study.points[1:3]:
            alone = client.wait(client.submit({**alike, "recipe": point.recipe.model_dump(mode="json")}).id, 100)
            shared, by_itself = written(client, client.job(point.job)), written(client, alone)
            assert shared.keys() ^ by_itself.keys() <= {"model.float32.onnx"}, "delivered where int8 was timed slower"
            both = shared.keys() & by_itself.keys()
            assert {name: shared[name] for name in both} == {name: by_itself[name] for name in both}
        assert "which saved" in client.study_report(study.id)
    assert not [path for path in (service.data_dir / "files" / "checkpoints").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_what_fails_is_listed_and_the_rest_compared(service: Service, material: dict[str, str], tmp_path: Path) -> None:
    impossible = {"technique": "structured_pruning", "target": {"macs": 1}}
    recipes = [{"steps": [INT8]}, {"steps": [impossible]}]
    with Client(service.url) as client:
        started = client.submit_study({**material, "recipes": recipes, "controls": False, "measure": {"repeats": 5}})
        study = client.wait_for_study(started.id, 200)
        assert (study.status, study.front) == ("succeeded", (study.points[0].job,))
        assert [failure.job for failure in study.failures] == [study.points[1].job]
        assert study.best is not None
        assert client.download(study.best.job, "model.onnx", tmp_path).exists()
