"""The OpenAPI document and its pages."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from app.api import examples, study_examples
from app.core.artifacts import Artifact
from app.core.datasets import Dataset
from app.core.events import Event
from app.core.jobs import Job
from app.core.models import Model
from app.core.plans.schemas import Plan
from app.core.studies.schemas import Study, StudySummary
from tests.api.conftest import DATASET, TORCHSCRIPT
from tests.api.live import served
from tests.core.rows import dataset_row, model_row
from tests.core.uploads.samples_of_images import png
from tests.core.uploads.zip_builder import Member, zip_file

IMAGES = zip_file(*(Member(f"train/cat/{name}.png", png()) for name in "ab"))
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_described(document: Any) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name
        if name.split()[1].startswith("/v1"):
            assert {"401", "403", "422", "500", "503"} <= operation["responses"].keys(), name


def test_every_reference_leads_somewhere(document: Any) -> None:
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


def test_keys_are_asked_for_only_where_they_are_needed(document: Any, app: FastAPI) -> None:
    assert "securitySchemes" not in document["components"]


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (Model, [examples.UPLOADED_MODEL, examples.INSPECTED_MODEL, examples.WEIGHTS_ALONE]),
        (Dataset, [examples.UPLOADED_DATASET, examples.INSPECTED_DATASET]),
        (Artifact, [examples.ARTIFACT]),
        (Event, [examples.EVENT]),
        (Study, [study_examples.QUEUED_STUDY, study_examples.SUCCEEDED_STUDY, study_examples.CANCELED_STUDY]),
        (Plan, [examples.PLAN]),
        (StudySummary, [study_examples.STUDY_SUMMARY]),
        (Event, [study_examples.STUDY_EVENT]),
        (Job, [examples.QUEUED_JOB, examples.RUNNING_JOB, examples.SUCCEEDED_JOB, examples.CANCELED_JOB]),
    ],
)
def test_shown_answers_are_complete(schema: Any, found: list[dict[str, Any]]) -> None:
    for example in found:
        assert TypeAdapter(schema).validate_json(json.dumps(example)).model_dump(mode="json").keys() == example.keys()


def request_examples(document: Any, path: str, media_type: str) -> list[Any]:
    content = document["paths"][path]["post"]["requestBody"]["content"][media_type]
    return [example["value"] for example in content["examples"].values()]


def test_uploads_can_be_sent_as_they_are_shown(client: TestClient, document: Any) -> None:
    for path, file in (("/v1/models", TORCHSCRIPT), ("/v1/datasets", DATASET)):
        for fields in request_examples(document, path, "multipart/form-data"):
            content = IMAGES if "transform" in fields else file.read_bytes()
            answer = client.post(path, data=fields, files={"file": content})
            assert answer.status_code == 201, answer.text


def test_jobs_can_be_sent_as_they_are_shown(client: TestClient, document: Any, model: str, dataset: str) -> None:
    ids = {"model": model, "dataset": dataset}
    for body in request_examples(document, "/v1/jobs", "application/json"):
        answer = client.post("/v1/jobs", json={key: ids.get(key, value) for key, value in body.items()})
        assert answer.status_code == 202, answer.text
    for fields in request_examples(document, "/v1/jobs", "multipart/form-data"):
        files = {"file": TORCHSCRIPT.read_bytes(), "dataset_file": DATASET.read_bytes()}
        answer = client.post("/v1/jobs", data=fields, files=files)
        assert answer.status_code == 202, answer.text


def test_sensitivity_can_be_asked_for_as_it_is_shown(
    client: TestClient, document: Any, model: str, dataset: str
) -> None:
    shown = request_examples(document, "/v1/models/{model_id}/sensitivity", "application/json")
    assert {len(body) for body in shown} == {0, 2}
    for body in shown:
        sent = {key: {"dataset": dataset}.get(key, value) for key, value in body.items()}
        answer = client.post(f"/v1/models/{model}/sensitivity", json=sent)
        assert answer.status_code == 202, answer.text


def test_plans_can_be_asked_for_as_they_are_shown(client: TestClient, document: Any) -> None:
    with client.app.state.context.database.writing() as session:
        session.add_all([model_row(), dataset_row()])
    ids = {"model": "model_1", "dataset": "dataset_1"}
    for body in request_examples(document, "/v1/plans", "application/json"):
        answer = client.post("/v1/plans", json={key: ids.get(key, value) for key, value in body.items()})
        assert answer.status_code == 200, answer.text


def test_studies_can_be_sent_as_they_are_shown(client: TestClient, document: Any, model: str, dataset: str) -> None:
    ids = {"model": model, "dataset": dataset}
    for body in request_examples(document, "/v1/studies", "application/json"):
        answer = client.post("/v1/studies", json={key: ids.get(key, value) for key, value in body.items()})
        assert answer.status_code == 202, answer.text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_pages_work_and_ask_no_other_host(app: FastAPI) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with served(app) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/docs")
        upload = page.locator("#operations-models-upload_model")
        upload.locator(".opblock-summary").click()
        upload.locator("input[type=file]").set_input_files(TORCHSCRIPT)
        upload.locator(".execute").click()
        answer = upload.locator(".live-responses-table tr.response")
        assert answer.locator(".response-col_status").inner_text().startswith("201")
        page.goto(f"{url}/redoc")
        page.get_by_role("heading", name="Submit a job").wait_for()
        page.wait_for_load_state("networkidle")
        browser.close()
    assert all(address.startswith((url, "data:", "blob:")) for address in asked)
