"""/v1/studies"""

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.context import Context
from app.core.keys import create_key
from app.core.queue import Queue
from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import LOCAL_URL
from tests.api.test_events import STREAM, parse
from tests.core.studies.finished import INT8, PRUNING, end_in_order, result, steps

RECIPES = [steps(PRUNING), steps(INT8)]


@pytest.fixture
def queue(context: Context) -> Queue:
    return Queue(context.database, context.settings, "worker-1")


def start(client: TestClient, headers: dict[str, str] | None = None, **body: Any) -> Any:
    asked = {"model": "model_1", "dataset": "dataset_1", "recipes": RECIPES, "controls": False, **body}
    return client.post("/v1/studies", json=asked, headers=headers)


@pytest.fixture
def study(client: TestClient, model: str, dataset: str) -> Any:
    return start(client).json()


@pytest.fixture
def finished(client: TestClient, context: Context, queue: Queue, study: Any) -> Any:
    end_in_order(context.database, queue, result(400, 2.0, 0.97), None)
    return client.get(study["urls"]["self"]).json()


def test_it_is_accepted_with_its_jobs(client: TestClient, model: str, dataset: str) -> None:
    answer = start(client, name="first", seeds=[0, 1])
    study = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/studies/{study['id']}")
    assert "Retry-After" in answer.headers
    assert (study["object"], study["status"], study["name"], study["model"]) == ("study", "queued", "first", "model_1")
    assert [(point["status"], point["seed"], point["control"]) for point in study["points"]] == [
        ("queued", seed, False) for _ in RECIPES for seed in (0, 1)
    ]
    assert (study["front"], study["best"]) == ([], None)
    job = client.get(f"/v1/jobs/{study['points'][3]['job']}").json()
    assert (job["study"], job["seed"], job["recipe"]["steps"][0]["technique"]) == (
        study["id"],
        1,
        "static_quantization",
    )


def test_its_jobs_can_be_listed(client: TestClient, study: Any) -> None:
    other = client.post("/v1/jobs", json={"model": "model_1", "recipe": {"preset": "small"}}).json()
    listed = client.get(study["urls"]["jobs"]).json()["data"]
    assert [job["id"] for job in listed] == [point["job"] for point in reversed(study["points"])]
    assert other["study"] is None


def test_studies_are_listed_the_newest_first(client: TestClient, study: Any) -> None:
    newer = start(client).json()
    listed = client.get("/v1/studies").json()
    assert [each["id"] for each in listed["data"]] == [newer["id"], study["id"]]
    assert "points" not in listed["data"][0]
    rest = client.get("/v1/studies", params={"after": newer["id"], "limit": 1}).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([study["id"]], False)
    client.post(study["urls"]["cancel"])
    canceled = client.get("/v1/studies", params={"status": "canceled"}).json()
    assert [each["id"] for each in canceled["data"]] == [study["id"]]


def test_a_finished_study_has_its_front_its_best_and_its_failures(finished: Any) -> None:
    succeeded, failed = finished["points"]
    assert finished["status"] == "succeeded"
    assert {"job", "recipe", "control", "size_bytes", "latency_ms", "macs", "quality", "on_front"} <= succeeded.keys()
    assert (succeeded["size_bytes"], succeeded["latency_ms"], succeeded["quality"]) == (400, 1.0, 0.97)
    assert finished["front"] == [succeeded["job"]]
    assert finished["best"].keys() == {"job", "met_budget", "why"}
    assert finished["failures"][0]["job"] == failed["job"]


def test_the_same_key_starts_it_once(client: TestClient, model: str, dataset: str) -> None:
    key = {"Idempotency-Key": "k"}
    first, again, other = start(client, key).json(), start(client, key).json(), start(client, key, seeds=[3])
    assert first["id"] == again["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(client.get("/v1/jobs").json()["data"]) == 2


def test_the_answer_can_wait(client: TestClient, study: Any) -> None:
    for job in client.get(study["urls"]["jobs"]).json()["data"]:
        client.post(job["urls"]["cancel"])
    waited = start(client, {"Prefer": "wait=1"})
    assert (waited.headers["Preference-Applied"], waited.json()["status"]) == ("wait=1", "queued")


def test_its_events_are_listed_and_streamed(client: TestClient, finished: Any) -> None:
    listed = client.get(finished["urls"]["events"]).json()["data"]
    assert [event["type"] for event in listed][-2:] == ["job_ended", "succeeded"]
    assert listed[-2]["data"] == {"job": finished["points"][1]["job"], "status": "failed", "control": False}
    streamed = parse(client.get(finished["urls"]["events"], headers=STREAM).text)
    assert [kind for kind, _, _ in streamed] == [*(event["type"] for event in listed), "done"]
    assert streamed[-1][2] == {"id": finished["id"], "status": "succeeded", "url": finished["urls"]["self"]}
    resumed = client.get(finished["urls"]["events"], headers={**STREAM, "Last-Event-ID": streamed[-3][1]})
    assert parse(resumed.text) == streamed[-2:]


@pytest.mark.parametrize("media_type", ["text/html", "text/markdown", "application/json"])
def test_its_report_comes_as_it_is_asked_for(client: TestClient, finished: Any, media_type: str) -> None:
    answer = client.get(finished["urls"]["report"], headers={"Accept": media_type})
    assert answer.headers["Content-Type"].startswith(media_type)
    assert finished["points"][0]["job"] in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Vary"] == "Accept"


def test_the_request_in_its_report_can_be_sent_again(client: TestClient, finished: Any) -> None:
    markdown = client.get(finished["urls"]["report"], headers={"Accept": "text/markdown"}).text
    body = re.search(r"```json\n(.*?)```", markdown, re.DOTALL)
    assert body is not None
    again = client.post("/v1/studies", json=json.loads(body[1])).json()
    assert [point["recipe"] for point in again["points"]] == [point["recipe"] for point in finished["points"]]


def test_without_a_result_there_is_no_report(client: TestClient, study: Any) -> None:
    answer = client.get(study["urls"]["report"])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_report")


def test_it_is_canceled_and_deleted(client: TestClient, study: Any) -> None:
    assert client.delete(study["urls"]["self"]).json()["code"] == "study_running"
    for _ in range(2):
        assert client.post(study["urls"]["cancel"]).json()["status"] == "canceled"
    assert client.delete(study["urls"]["self"]).status_code == 204
    assert client.get(study["urls"]["self"]).json()["code"] == "not_found"
    assert client.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"recipes": []}, "invalid_request", "recipes"),
        ({"recipes": [steps({**PRUNING, "sparsity": [0.5, 2]})]}, "invalid_request", "recipes.0.steps.0.sparsity.1"),
        ({"recipes": [steps(INT8, PRUNING)]}, "recipe_order", "recipes.0.steps.1"),
        ({"seeds": list(range(60))}, "too_many_jobs", "recipes"),
        ({"outputs": ["onnx", "onnx"]}, "invalid_request", "body"),
        ({"surprise": 1}, "invalid_request", "surprise"),
        ({"recipes": None}, "invalid_request", "body"),
        ({"search": {"budget": {"max_quality_drop": 0.01}}}, "invalid_request", "body"),
        ({"recipes": None, "search": {"budget": {}}}, "invalid_request", "search.budget"),
        ({"recipes": None, "search": {"budget": {"max_quality_drop": 2}}}, "invalid_request",
         "search.budget.max_quality_drop"),
        ({"recipes": None, "dataset": None, "search": {"budget": {"max_quality_drop": 0.01}}}, "budget_without_data",
         "dataset"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    client: TestClient, model: str, dataset: str, body: dict[str, Any], code: str, where: str
) -> None:
    problem = start(client, **body).json()
    assert (problem["status"], problem["code"], problem["errors"][0]["where"]) == (422, code, where)
    assert client.get("/v1/jobs").json()["data"] == client.get("/v1/studies").json()["data"] == []


def test_an_unknown_model_is_404(client: TestClient, dataset: str) -> None:
    assert start(client, model="model_none").status_code == 404


def test_keys_have_scopes_of_their_own_for_studies(settings: Settings, context: Context, finished: Any) -> None:
    app = create_app(settings.model_copy(update={"host": "0.0.0.0"}))
    with TestClient(app, base_url=LOCAL_URL) as client:
        scopes = {"reader": ["studies:read"], "worker": ["jobs:read", "jobs:write"], "admin": ["admin"]}
        keys = {
            name: {"Authorization": f"Bearer {create_key(context.database, name, given)[1]}"}
            for name, given in scopes.items()
        }
        assert client.get("/v1/studies", headers=keys["worker"]).json()["code"] == "scope_missing"
        assert start(client, keys["reader"]).json()["code"] == "scope_missing"
        assert client.get(finished["urls"]["self"], headers=keys["reader"]).status_code == 404
        assert client.get(finished["urls"]["self"], headers=keys["admin"]).status_code == 200
