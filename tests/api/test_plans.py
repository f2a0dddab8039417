from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.core.rows import dataset_row, model_row

PRUNE = {"technique": "magnitude_pruning", "sparsity": 0.5}


@pytest.fixture
def ready(client: TestClient) -> TestClient:
    with client.app.state.context.database.writing() as session:
        session.add_all([model_row(), dataset_row()])
    return client


def ask(client: TestClient, *steps: dict[str, Any], path: str = "/v1/plans", **body: Any) -> Any:
    return client.post(path, json={"model": "model_1", "recipe": {"steps": steps}, **body})


def test_a_plan_says_what_a_job_would_come_to_and_queues_nothing(ready: TestClient) -> None:
    answer = ask(ready, PRUNE, outputs=["onnx", "state_dict"])
    plan = answer.json()
    assert answer.status_code == 200
    assert plan["steps"][0]["technique"] == "magnitude_pruning"
    assert [file["name"] for file in plan["files"]] == ["model.onnx", "model.safetensors"]
    assert plan["predicted"]["seconds"] > 0 < plan["predicted"]["memory_mb"]
    assert plan["predicted"].keys() - {"nonzero_parameters"} == plan["basis"].keys()
    assert ready.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        ([{"technique": "static_quantization"}, PRUNE], {"dataset": "dataset_1"}),
        ([{"technique": "static_quantization"}], {}),
        ([PRUNE], {"colour": 1}),
        ([PRUNE], {"model": "model_none"}),
        ([{"technique": "magnitude_pruning", "sparsity": 2}], {}),
    ],
)
def test_it_is_refused_as_the_job_would_be(ready: TestClient, steps: list[Any], body: dict[str, Any]) -> None:
    plan, job = (ask(ready, *steps, path=path, **body) for path in ("/v1/plans", "/v1/jobs"))
    told = [
        {name: answer.json().get(name) for name in ("status", "code", "detail", "errors")} for answer in (plan, job)
    ]
    assert plan.status_code in (404, 422)
    assert told[0] == told[1]
