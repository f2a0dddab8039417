"""What the documentation's pages show of jobs runs to its end, sent as it stands."""

import pytest

from app.api.submissions import JSON_EXAMPLES
from app.client import Client
from tests.api.conftest import DATASET, TORCHSCRIPT

pytestmark = pytest.mark.slow


@pytest.fixture
def ids(client: Client) -> dict[str, str]:
    inputs = [{"name": "x", "shape": ["batch", 1, 28, 28]}]
    model, dataset = client.upload_model(TORCHSCRIPT, inputs=inputs), client.upload_dataset(DATASET)
    return {"model": client.wait_for_model(model.id).id, "dataset": client.wait_for_dataset(dataset.id).id}


@pytest.mark.timeout(900)
def test_each_job_succeeds_as_it_was_planned(client: Client, ids: dict[str, str]) -> None:
    for name, example in JSON_EXAMPLES.items():
        body = {key: ids.get(key, value) for key, value in example["value"].items()}
        planned = {file.name for file in client.plan(body).files}
        job = client.wait(client.submit(body).id)
        assert job.status == "succeeded", (name, job.error)
        assert job.result.best in planned, name
        assert job.result.peak_memory_mb > 0, name
