"""What bad input gets, from the real service: a problem with a code and what to do next, and nothing left behind."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.cli.embedded_service import Service
from tests.api.conftest import DATASET, STATE_DICT, TORCHSCRIPT

pytestmark = pytest.mark.slow
STATIC = {"technique": "static_quantization"}
PRUNE = {"technique": "magnitude_pruning"}


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 0:
            raise ValueError("not today")
        return x


def archive(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def post(service: Service, path: str, content: bytes, name: str, **fields: Any) -> httpx2.Response:
    data = {key: value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}
    return httpx2.post(service.url + path, files={"file": (name, content)}, data=data, timeout=60)


def inspected(service: Service, kind: str, content: bytes, name: str, **fields: Any) -> dict[str, Any]:
    answer = post(service, f"/v1/{kind}", content, name, **fields)
    assert answer.status_code == 201, answer.text
    while (found := httpx2.get(service.url + answer.headers["Location"]).json())["status"] == "inspecting":
        pass
    return found


def stored_files(service: Service) -> set[Path]:
    return {path for path in (service.data_dir / "files").rglob("*") if path.is_file()}


def assert_is_a_problem(problem: dict[str, Any], code: str) -> None:
    assert problem["code"] == code, problem
    assert problem["title"]
    assert len(problem["detail"]) > 30


WEIGHTS = STATE_DICT.read_bytes()
WRONG_LAYERS = {"source": "layers", "layers": [{"type": "Linear", "name": "fc", "in_features": 4, "out_features": 2}]}


@pytest.mark.parametrize(
    ("path", "content", "name", "fields", "code"),
    [
        ("/v1/models", b"hello, this is no model at all", "model.pt", {}, "unknown_format"),
        ("/v1/models", b"", "model.pt", {}, "empty_file"),
        ("/v1/models", TORCHSCRIPT.read_bytes()[:50_000], "model.pt", {}, "truncated_file"),
        ("/v1/models", pickle.dumps(print), "model.pt", {}, "pickle_not_allowed"),
        ("/v1/models", WEIGHTS, "model.pt", {"architecture": {"source": "nowhere"}}, "invalid_request"),
        ("/v1/datasets", npz(x_train=np.zeros((4, 2))), "data.npz", {}, "dataset_names"),
        ("/v1/datasets", npz(x=np.zeros((4, 2)), y=np.zeros(3)), "data.npz", {}, "dataset_shapes"),
    ],
)
def test_what_the_static_check_finds_is_refused_and_not_stored(
    service: Service, path: str, content: bytes, name: str, fields: dict[str, Any], code: str
) -> None:
    before = stored_files(service)
    answer = post(service, path, content, name, **fields)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert_is_a_problem(answer.json(), code)
    assert stored_files(service) == before


@pytest.mark.parametrize(
    ("kind", "content", "name", "fields", "code"),
    [
        ("models", archive(Raises()), "m.pt", {"inputs": [{"name": "x", "shape": ["batch", 4]}]}, "forward_failed"),
        ("models", WEIGHTS, "m.pt", {"architecture": WRONG_LAYERS}, "weights_do_not_fit"),
        ("datasets", npz(x=np.zeros((9, 2), "f4"), y=np.full(9, -1)), "d.npz", {}, "labels_out_of_range"),
        ("datasets", npz(x=np.full((9, 2), np.nan, "f4")), "d.npz", {}, "values_not_finite"),
    ],
)
def test_what_inspection_finds_rejects_the_upload(
    service: Service, kind: str, content: bytes, name: str, fields: dict[str, Any], code: str
) -> None:
    found = inspected(service, kind, content, name, **fields)
    assert found["status"] == "rejected"
    assert_is_a_problem(found["problem"], code)
    assert httpx2.delete(f"{service.url}/v1/{kind}/{found['id']}").status_code == 204


@pytest.fixture(scope="module")
def model(service: Service) -> str:
    found = inspected(service, "models", TORCHSCRIPT.read_bytes(), "m.pt")
    assert found["status"] == "ready"
    return str(found["id"])


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return str(inspected(service, "datasets", DATASET.read_bytes(), "d.npz")["id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"recipe": {"steps": [STATIC, PRUNE]}}, 422, "recipe_order"),
        ({"recipe": {"steps": [{**PRUNE, "speed": 3}]}}, 422, "invalid_request"),
        ({"recipe": {"steps": [STATIC]}, "dataset": None}, 422, "dataset_required"),
        ({"recipe": {"steps": [STATIC]}, "outputs": ["exported_program"]}, 422, "output_unavailable"),
        ({"recipe": {"preset": "fast"}, "model": "model_none"}, 404, "not_found"),
        ({"recipe": {"preset": "fast"}, "dataset": "dataset_none"}, 404, "not_found"),
    ],
)
def test_a_job_that_cannot_work_is_refused(
    service: Service, model: str, dataset: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = httpx2.post(f"{service.url}/v1/jobs", json={"model": model, "dataset": dataset, **body})
    assert answer.status_code == status
    assert_is_a_problem(answer.json(), code)


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"x": np.zeros((9, 3, 5), "f4"), "y": np.zeros(9, "i8")}, "data_does_not_fit"),
        ({"x": np.zeros((9, 1, 28, 28), "f4"), "y": np.arange(9) + 40}, "labels_out_of_range"),
    ],
)
def test_data_that_does_not_fit_the_model_fails_the_job(
    service: Service, model: str, arrays: dict[str, np.ndarray], code: str
) -> None:
    data = inspected(service, "datasets", npz(**arrays), "d.npz")
    body = {"model": model, "dataset": data["id"], "recipe": {"steps": [STATIC]}}
    job = httpx2.post(f"{service.url}/v1/jobs", json=body, headers={"Prefer": "wait=60"}, timeout=70).json()
    assert job["status"] == "failed"
    assert_is_a_problem(job["error"], code)


def test_a_finished_job_cannot_be_canceled_and_an_unknown_one_not_found(service: Service, model: str) -> None:
    body = {"model": model, "recipe": {"steps": [PRUNE]}, "outputs": ["state_dict"], "measure": {"repeats": 5}}
    job = httpx2.post(f"{service.url}/v1/jobs", json=body, headers={"Prefer": "wait=60"}, timeout=70).json()
    assert job["status"] == "succeeded", job["error"]
    refused = httpx2.post(service.url + job["urls"]["cancel"])
    assert (refused.status_code, refused.json()["code"]) == (409, "job_finished")
    missing = httpx2.get(f"{service.url}/v1/jobs/job_none")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_a_running_job_that_is_canceled_leaves_no_process_and_no_folder(service: Service, model: str) -> None:
    body = {"model": model, "recipe": {"steps": [PRUNE]}, "measure": {"repeats": 10_000, "batch_sizes": [64]}}
    job = httpx2.post(f"{service.url}/v1/jobs", json=body).json()
    while httpx2.get(service.url + job["urls"]["self"]).json()["progress"]["fraction"] < 0.1:
        pass
    httpx2.post(service.url + job["urls"]["cancel"])
    while not (job := httpx2.get(service.url + job["urls"]["self"]).json())["done"]:
        pass
    assert job["status"] == "canceled"
    assert not list((service.data_dir / "work").glob(f"{job['id']}*"))
    again = httpx2.post(service.url + job["urls"]["cancel"])
    assert (again.status_code, again.json()["status"]) == (200, "canceled")


def test_the_service_goes_on(service: Service) -> None:
    assert httpx2.get(f"{service.url}/health/ready").json()["status"] == "ready"
