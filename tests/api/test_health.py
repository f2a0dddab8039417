from pathlib import Path

from starlette.testclient import TestClient

from app.api.context import Context
from app.core import workers
from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import LOCAL_URL
from tests.core.rows import SANDBOX


def test_a_service_without_a_worker_lives_but_is_not_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    answer = client.get("/health/ready")
    state = answer.json()
    assert (answer.status_code, state["status"]) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (state["database"]["ok"], state["storage"]["ok"], state["worker"]["ok"]) == (True, True, False)
    assert any("worker" in warning for warning in state["warnings"])


def test_a_service_with_a_worker_is_ready(client: TestClient, context: Context) -> None:
    workers.sign_on(context.database, "worker-1", SANDBOX)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["sandbox"] == SANDBOX.model_dump(mode="json")
    assert answer.json()["database"]["sqlite_version"].startswith("3.")
    assert answer.json()["storage"]["free_bytes"] > 0


def test_a_service_without_tables_is_not_ready(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path)), base_url=LOCAL_URL) as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["database"]["ok"] is False
    assert any("modelpress migrate" in warning for warning in answer.json()["warnings"])


def test_metrics_count_what_the_database_holds(client: TestClient, model: str, finished_job: str) -> None:
    text = client.get("/metrics").text
    assert 'modelpress_jobs{kind="compress",status="succeeded"} 1.0' in text
    assert 'modelpress_models{status="ready"} 1.0' in text
    assert "modelpress_worker_up 0.0" in text


def test_the_version_is_the_packages(client: TestClient) -> None:
    assert client.get("/version").json()["name"] == "modelpress"


def test_techniques_and_presets_say_what_a_recipe_may_hold(client: TestClient) -> None:
    techniques = {technique["name"]: technique for technique in client.get("/v1/techniques").json()["data"]}
    assert techniques["static_quantization"]["stage"] == "quantize"
    assert techniques["static_quantization"]["needs_data"] is True
    assert "sparsity" in techniques["magnitude_pruning"]["json_schema"]["properties"]
    assert {preset["name"] for preset in client.get("/v1/presets").json()["data"]} == {"small", "fast", "safe"}
