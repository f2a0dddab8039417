import pytest
from starlette.testclient import TestClient


def test_a_job_is_queued_and_told_where_it_is(client: TestClient, model: str, dataset: str) -> None:
    answer = client.post(f"/v1/models/{model}/sensitivity", json={"dataset": dataset, "seed": 1})
    job = answer.json()
    assert (answer.status_code, job["kind"], job["status"]) == (202, "sensitivity", "queued")
    assert answer.headers["Location"] == job["urls"]["self"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/v1/jobs?kind=sensitivity").json()["data"] == [job]
    assert client.post(f"{job['urls']['self']}/cancel").json()["status"] == "canceled"


def test_the_same_key_gives_the_same_job(client: TestClient, model: str) -> None:
    path, headers = f"/v1/models/{model}/sensitivity", {"Idempotency-Key": "once"}
    ids = {client.post(path, json={}, headers=headers).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    assert client.post(path, json={"seed": 9}, headers=headers).status_code == 409


@pytest.mark.parametrize("body", [{"seed": -1}, {"seed": "0"}, {"colour": 1}, {"dataset": 3}], ids=str)
def test_a_wrong_field_is_named(client: TestClient, model: str, body: dict[str, object]) -> None:
    answer = client.post(f"/v1/models/{model}/sensitivity", json=body)
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json()["errors"]] == list(body)


def test_what_is_not_there_is_not_found_and_what_is_no_json_is_not_read(client: TestClient, model: str) -> None:
    assert client.post("/v1/models/model_0/sensitivity", json={}).status_code == 404
    assert client.post(f"/v1/models/{model}/sensitivity", data={"seed": "1"}).status_code == 415
