"""Who is answered: keys on an open address, hosts and origins on a loopback one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.core.keys import create_key
from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import LOCAL_URL, TORCHSCRIPT

Serve = Callable[..., TestClient]


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            app = create_app(Settings(data_dir=data_dir, min_free_bytes=0, **settings))
            return stack.enter_context(TestClient(app, base_url=LOCAL_URL))

        yield start


def key(client: TestClient, *scopes: str) -> dict[str, str]:
    _, secret = create_key(client.app.state.context.database, "k", scopes)
    return {"Authorization": f"Bearer {secret}"}


def test_an_open_address_needs_a_key(serve: Serve) -> None:
    client = serve(host="0.0.0.0")
    for path in ("/v1/models", "/v1/techniques", "/v1/presets", "/metrics"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/v1/models", headers={"Authorization": "Bearer mp_wrong"}).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": "Basic eDp5"}).status_code == 401
    assert client.get("/v1/models", headers=key(client, "models:read")).status_code == 200


def test_what_keeps_a_service_running_needs_no_key(serve: Serve) -> None:
    client = serve(host="0.0.0.0")
    for path in ("/health/live", "/version", "/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 200


def test_insecure_means_no_key(serve: Serve) -> None:
    assert serve(host="0.0.0.0", insecure=True).get("/v1/models").status_code == 200


def test_a_key_opens_what_its_scopes_say(serve: Serve) -> None:
    client = serve(host="0.0.0.0")
    reader = key(client, "models:read")
    assert client.get("/v1/models", headers=reader).status_code == 200
    for answer in (
        client.get("/v1/jobs", headers=reader),
        client.delete("/v1/models/model_1", headers=reader),
        client.post("/v1/models", headers=reader),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_a_plan_is_asked_for_with_the_scope_that_reads_jobs(serve: Serve) -> None:
    client, body = serve(host="0.0.0.0"), {"model": "model_none", "recipe": {"preset": "fast"}}
    assert client.post("/v1/plans", json=body, headers=key(client, "jobs:read")).status_code == 404
    assert client.post("/v1/plans", json=body, headers=key(client, "models:read")).json()["code"] == "scope_missing"


def test_someone_elses_object_does_not_exist(serve: Serve) -> None:
    client = serve(host="0.0.0.0")
    mine, theirs, admin = key(client, "models:write", "models:read"), key(client, "models:read"), key(client, "admin")
    with TORCHSCRIPT.open("rb") as file:
        address = client.post("/v1/models", files={"file": file}, headers=mine).headers["Location"]
    assert client.get(address, headers=mine).status_code == 200
    assert client.get(address, headers=admin).status_code == 200
    assert client.get(address, headers=theirs).status_code == 404
    assert client.get(f"{address}/download", headers=theirs).status_code == 404
    assert client.get("/v1/models", headers=theirs).json()["data"] == []


def test_one_call_needs_the_scopes_of_all_that_it_makes(serve: Serve) -> None:
    client = serve(host="0.0.0.0")
    with TORCHSCRIPT.open("rb") as file:
        answer = client.post("/v1/jobs", files={"file": file}, headers=key(client, "jobs:write"))
    assert answer.json()["code"] == "scope_missing"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_a_loopback_service_answers_to_loopback_names(serve: Serve, host: str) -> None:
    assert serve().get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "[", "", "a@b:c"]
)
def test_a_loopback_service_answers_to_no_other_name(serve: Serve, host: str) -> None:
    for path in ("/v1/models", "/docs", "/health/live"):
        answer = serve().get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")


def test_other_names_can_be_allowed(serve: Serve) -> None:
    client = serve(allowed_hosts=("box.lan",))
    assert client.get("/v1/models", headers={"Host": "BOX.lan:8000"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "http://127.0.0.1:3000", "null", "x"])
@pytest.mark.parametrize("settings", [{}, {"host": "0.0.0.0", "insecure": True}], ids=["loopback", "insecure"])
def test_other_sites_pages_are_refused(serve: Serve, origin: str, settings: dict[str, Any]) -> None:
    answer = serve(**settings).post("/v1/jobs/job_1/cancel", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


def test_the_services_own_pages_are_answered(serve: Serve) -> None:
    assert serve().get("/v1/models", headers={"Origin": LOCAL_URL}).status_code == 200
