import json
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.context import Context
from app.core import jobs
from app.core.keys import LOCAL
from app.core.tables import JobRow, ModelRow
from tests.api.conftest import DATASET, TORCHSCRIPT
from tests.core.rows import model_row

PRESET = {"recipe": {"preset": "fast"}}


def submit(client: TestClient, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return client.post("/v1/jobs", json={**PRESET, **body}, headers=headers)


def test_a_job_is_queued_and_told_where_it_is(client: TestClient, model: str, dataset: str) -> None:
    answer = submit(client, model=model, dataset=dataset, name="first")
    job = answer.json()
    assert (answer.status_code, job["status"], job["done"]) == (202, "queued", False)
    assert answer.headers["Location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.get(answer.headers["Location"]).json() == job
    assert job["outputs"] == ["onnx"]


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"colour": 1}, "invalid_request", "colour"),
        ({"seed": "0"}, "invalid_request", "seed"),
        ({"seed": -1}, "invalid_request", "seed"),
        ({"recipe": {"steps": [{"technique": "magic"}]}}, "invalid_request", "recipe.steps.0"),
        (
            {"recipe": {"steps": [{"technique": "magnitude_pruning", "sparsity": 2}]}},
            "invalid_request",
            "recipe.steps.0.sparsity",
        ),
        (
            {"recipe": {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.1, "threshold": 1}]}},
            "invalid_request",
            "recipe.steps.0",
        ),
        ({"measure": {"threads": 1, "x": 1}}, "invalid_request", "measure.x"),
    ],
)
def test_a_wrong_field_is_named_as_it_was_written(
    client: TestClient, model: str, body: dict[str, Any], code: str, where: str
) -> None:
    problem = submit(client, model=model, **body).json()
    assert (problem["status"], problem["code"]) == (422, code)
    assert [error["where"] for error in problem["errors"]] == [where]


def test_a_recipe_that_can_not_work_is_refused(client: TestClient, model: str) -> None:
    steps = [{"technique": "dynamic_quantization"}, {"technique": "magnitude_pruning"}]
    assert submit(client, model=model, recipe={"steps": steps}).json()["code"] == "recipe_order"
    assert submit(client, model=model, recipe={"steps": steps[:1]}, outputs=["state_dict"]).json()["code"] == (
        "output_unavailable"
    )
    data_hungry = {"steps": [{"technique": "static_quantization"}]}
    assert submit(client, model=model, recipe=data_hungry).json()["code"] == "dataset_required"


def test_an_unknown_model_is_404(client: TestClient) -> None:
    assert submit(client, model="model_nope").status_code == 404


@pytest.mark.parametrize("dataset", ["", "dataset_nope"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", {**PRESET, "model": "model_1"}),
        ("/v1/plans", {**PRESET, "model": "model_1"}),
        ("/v1/studies", {"model": "model_1", "recipes": [PRESET["recipe"]]}),
        ("/v1/models/model_1/sensitivity", {}),
    ],
)
@pytest.mark.usefixtures("model")
def test_so_is_an_unknown_data_set(client: TestClient, path: str, body: dict[str, Any], dataset: str) -> None:
    answer = client.post(path, json={**body, "dataset": dataset})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_same_key_gives_the_same_job(client: TestClient, model: str) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = submit(client, key, model=model), submit(client, key, model=model)
    other = submit(client, key, model=model, seed=1)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(client.get("/v1/jobs").json()["data"]) == 1


def test_lists_are_filtered(client: TestClient, context: Context, model: str) -> None:
    with context.database.writing() as session:
        session.add(model_row("model_2"))
    first, second = submit(client, model=model).json(), submit(client, model="model_2").json()
    client.post(first["urls"]["cancel"])

    def listed(**filters: str) -> list[str]:
        return [job["id"] for job in client.get("/v1/jobs", params=filters).json()["data"]]

    assert listed() == [second["id"], first["id"]]
    assert listed(status="canceled") == [first["id"]]
    assert listed(model="model_2") == [second["id"]]
    assert listed(kind="inspect") == []
    assert client.get("/v1/jobs", params={"status": "odd"}).status_code == 422


@pytest.mark.parametrize(("limits", "where"), [({"memory_mb": 16_385}, "memory_mb"), ({"seconds": 86_401}, "seconds")])
def test_more_than_the_service_gives_is_refused(client: TestClient, model: str, limits: dict, where: str) -> None:
    answer = submit(client, model=model, limits=limits)
    assert (answer.status_code, answer.json()["code"]) == (422, "limits_too_high")
    assert [error["where"] for error in answer.json()["errors"]] == [f"limits.{where}"]
    study = {"model": model, "recipes": [{"preset": "safe"}], "limits": limits}
    assert client.post("/v1/studies", json=study).json()["code"] == "limits_too_high"


def test_jobs_are_still_listed_by_a_model_that_was_deleted(client: TestClient, context: Context, model: str) -> None:
    with context.database.writing() as session:
        session.add(model_row("model_2"))
    job, _ = submit(client, model=model).json(), submit(client, model="model_2")
    client.post(job["urls"]["cancel"])
    assert client.delete(f"/v1/models/{model}").status_code == 204
    (listed,) = client.get("/v1/jobs", params={"model": model}).json()["data"]
    assert (listed["id"], listed["model"]) == (job["id"], model)


def test_canceling_may_be_repeated_but_not_undo_a_success(client: TestClient, model: str, finished_job: str) -> None:
    job = submit(client, model=model).json()
    for _ in range(2):
        assert client.post(job["urls"]["cancel"]).json()["status"] == "canceled"
    late = client.post(f"/v1/jobs/{finished_job}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "job_finished")
    assert f"DELETE /v1/jobs/{finished_job}" in late.json()["detail"]


def test_a_job_is_deleted_with_all_that_it_made(client: TestClient, context: Context, finished_job: str) -> None:
    context.logs.append(finished_job, b"hello\n")
    assert client.get(f"/v1/jobs/{finished_job}/logs").text == "hello\n"
    assert client.delete(f"/v1/jobs/{finished_job}").status_code == 204
    assert client.get(f"/v1/jobs/{finished_job}/logs").status_code == 404
    assert list(context.storage.all_keys()) == []


def test_a_waiting_job_is_not_deleted(client: TestClient, model: str) -> None:
    job = submit(client, model=model).json()
    assert client.delete(job["urls"]["self"]).json()["code"] == "job_running"
    assert client.delete(f"/v1/models/{model}").json()["code"] == "in_use"


def test_the_answer_can_wait_for_the_job(client: TestClient, context: Context, model: str) -> None:
    def cancel_soon() -> None:
        while not (found := jobs.page(context.database, LOCAL, 1, None).data):
            time.sleep(0.02)
        time.sleep(0.3)
        jobs.cancel(context.database, LOCAL, found[0].id)

    canceler = threading.Thread(target=cancel_soon)
    canceler.start()
    began = time.monotonic()
    answer = submit(client, {"Prefer": "respond-async, wait=30"}, model=model)
    canceler.join()
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    assert 0.2 < time.monotonic() - began < 10
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_the_wait_ends_when_the_time_is_up(client: TestClient, model: str) -> None:
    began = time.monotonic()
    assert submit(client, {"Prefer": "wait=1"}, model=model).json()["status"] == "queued"
    assert 0.9 < time.monotonic() - began < 5


def in_one_call(client: TestClient, job: object = PRESET, key: str | None = None) -> Any:
    with TORCHSCRIPT.open("rb") as network, DATASET.open("rb") as data:
        return client.post(
            "/v1/jobs",
            files={"file": network, "dataset_file": data},
            data={"job": json.dumps(job), "inputs": '[{"name": "x", "shape": ["batch", 1, 28, 28]}]'},
            headers={"Idempotency-Key": key} if key else {},
        )


def test_one_call_brings_the_model_the_data_and_the_job(client: TestClient) -> None:
    answer = in_one_call(client)
    job = answer.json()
    assert answer.status_code == 202
    assert client.get(f"/v1/models/{job['model']}").json()["name"] == "mnist_cnn.torchscript"
    assert client.get(f"/v1/datasets/{job['dataset']}").json()["name"] == "mnist5k"


def test_one_call_may_be_repeated_with_its_key(client: TestClient, context: Context) -> None:
    first = in_one_call(client, key="k").json()
    files = sorted(context.storage.all_keys())
    assert in_one_call(client, key="k").json()["id"] == first["id"]
    assert in_one_call(client, {**PRESET, "seed": 1}, key="k").json()["code"] == "idempotency_key_reused"
    assert sorted(context.storage.all_keys()) == files
    assert len(client.get("/v1/models").json()["data"]) == 1


@pytest.mark.parametrize(
    ("job", "code", "where"),
    [
        ({"recipe": {"preset": "huge"}}, "invalid_request", "job.recipe.preset"),
        ({**PRESET, "model": "model_1"}, "invalid_request", "job.model"),
        (
            {"recipe": {"steps": [{"technique": "dynamic_quantization"}]}, "outputs": ["state_dict"]},
            "output_unavailable",
            None,
        ),
    ],
)
def test_a_wrong_job_in_one_call_keeps_nothing(
    client: TestClient, context: Context, job: object, code: str, where: str | None
) -> None:
    problem = in_one_call(client, job).json()
    assert (problem["status"], problem["code"]) == (422, code)
    assert [error["where"] for error in problem["errors"]] == ([where] if where else [])
    assert list(context.storage.all_keys()) == []
    with context.database.reading() as session:
        assert session.query(ModelRow).count() == session.query(JobRow).count() == 0


@pytest.mark.parametrize("empty", ["file", "dataset_file"])
def test_of_two_files_the_empty_one_is_named(client: TestClient, context: Context, empty: str) -> None:
    files = {"file": TORCHSCRIPT.read_bytes(), "dataset_file": DATASET.read_bytes(), empty: b""}
    problem = client.post("/v1/jobs", files=files, data={"job": json.dumps(PRESET)}).json()
    assert (problem["status"], problem["code"]) == (422, "empty_file")
    assert [error["where"] for error in problem["errors"]] == [empty]
    assert f"`{empty}`" in problem["detail"]
    assert list(context.storage.all_keys()) == []


def test_one_call_needs_its_job(client: TestClient, context: Context) -> None:
    with TORCHSCRIPT.open("rb") as network:
        answer = client.post("/v1/jobs", files={"file": network})
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_field")
    assert list(context.storage.all_keys()) == []
