import subprocess
import sys

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.core.errors import Busy
from tests.api.conftest import LOCAL_URL


def test_the_web_service_holds_nothing_that_could_run_a_model() -> None:
    code = "import app.main, sys; print(sorted({'torch', 'numpy', 'worker', 'onnx', 'alembic'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_answer_carries_a_request_id(client: TestClient) -> None:
    assert client.get("/version", headers={"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
    generated = client.get("/nothing/here", headers={"X-Request-ID": "not ok"})
    assert generated.headers["X-Request-ID"] == generated.json()["request_id"] != "not ok"


def test_browsers_are_told_to_be_careful(client: TestClient) -> None:
    headers = client.get("/version").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/models/model_nope", 404, "not_found"),
        ("GET", "/v1/models/%00%ff", 404, "not_found"),
        ("GET", "/v1/models?after=%00", 422, "invalid_request"),
        ("GET", "/v1/models?limit=NaN", 422, "invalid_request"),
        ("GET", "/v1/models?limit=101", 422, "invalid_request"),
        ("PUT", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/v1/models", 415, "unsupported_media_type"),
        ("GET", "/static-offline-docs/nothing", 404, "not_found"),
    ],
)
def test_every_error_is_a_problem_document(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail", "code", "request_id", "errors"}


def test_a_wrong_method_is_told_all_that_would_be_answered(client: TestClient) -> None:
    assert client.put("/v1/models").headers["Allow"] == "GET, POST"
    assert client.post("/v1/jobs/job_1").headers["Allow"] == "DELETE, GET"


def test_an_unexpected_error_says_nothing_of_the_inside(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret /path")

    answer = TestClient(app, base_url=LOCAL_URL).get("/broken")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.json()["detail"]


def test_a_busy_service_says_when_to_come_back(app: FastAPI) -> None:
    @app.get("/busy")
    def busy() -> None:
        raise Busy("Try again.", retry_after=7)

    answer = TestClient(app, base_url=LOCAL_URL).get("/busy")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "7")
