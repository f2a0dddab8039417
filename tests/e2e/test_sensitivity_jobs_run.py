"""A job of kind `sensitivity`, from the request to its report."""

import json

import pytest

from app.client import Client, ClientProblem
from app.core.sensitivities import Sensitivity
from tests.api.conftest import DATASET, TORCHSCRIPT

pytestmark = pytest.mark.slow


def test_a_report_says_what_each_change_of_each_layer_costs(client: Client) -> None:
    model = client.upload_model(TORCHSCRIPT)
    dataset = client.upload_dataset(DATASET)
    job = client.wait(client.measure_sensitivity(model.id, dataset=dataset.id).id, 240)
    assert (job.kind, job.status) == ("sensitivity", "succeeded"), job.error
    found = job.result
    assert isinstance(found, Sensitivity)
    assert found.complete
    assert (found.baseline.metric, found.baseline.synthetic) == ("accuracy", False)
    assert found.baseline.value > 0.9
    changes = {(row.layer, row.technique, row.amount) for row in found.layers}
    assert {("conv2", "weight_quantization", bits) for bits in (8, 4, 2)} <= changes
    assert {("conv2", "magnitude_pruning", ratio) for ratio in (0.25, 0.5, 0.75)} <= changes
    assert {("conv2", "structured_pruning", ratio) for ratio in (0.25, 0.5, 0.75)} <= changes
    assert {artifact.name for artifact in client.artifacts(job.id)} == {"report.html", "report.md", "report.json"}
    assert json.loads(client.report(job.id, "application/json"))["result"] == found.model_dump(mode="json")
    assert "conv2" in client.report(job.id)
    assert "<svg" in client.report(job.id, "text/html")


def test_without_data_answers_to_random_inputs_are_compared(client: Client) -> None:
    job = client.wait(client.measure_sensitivity(client.upload_model(TORCHSCRIPT).id).id, 240)
    assert isinstance(job.result, Sensitivity)
    assert (job.result.baseline.metric, job.result.baseline.synthetic) == ("agreement", True)
    assert any("random inputs" in warning for warning in job.result.warnings)


def test_it_can_be_canceled_while_it_measures(client: Client) -> None:
    job = client.measure_sensitivity(client.upload_model(TORCHSCRIPT).id, dataset=client.upload_dataset(DATASET).id)
    for event in client.events(job.id):
        if "alone" in str(event.data.get("message")):
            client.cancel(job.id)
            break
    assert client.wait(job.id, 60).status == "canceled"
    assert client.artifacts(job.id) == ()


def test_what_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(ClientProblem) as refused:
        client.measure_sensitivity("model_00000000000000000000")
    assert refused.value.status == 404
