"""Whatever is sent, right or wrong: no 5xx, and every answer is as the OpenAPI document says."""

import contextlib
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from app.core import workers
from tests.api.live import served
from tests.core.rows import SANDBOX

CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@pytest.fixture
def api(
    app: FastAPI, model: str, dataset: str, finished_job: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[schemathesis.BaseSchema]:
    monkeypatch.setattr(workers, "LOST_AFTER_SECONDS", 3600)
    workers.sign_on(app.state.context.database, "worker-1", SANDBOX)
    with served(app) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.fixture
def known_ids(model: str, dataset: str, finished_job: str) -> dict[str, str]:
    return {"model_id": model, "dataset_id": dataset, "job_id": finished_job, "name": "model.onnx"}


def name_known_objects(case: schemathesis.Case, known_ids: dict[str, str]) -> None:
    """Without this, right requests would hardly ever get further than 404."""
    case.path_parameters.update({name: known_ids[name] for name in case.path_parameters})
    if isinstance(case.body, dict) and "model" in case.body:
        case.body |= {"model": known_ids["model_id"], "dataset": known_ids["dataset_id"]}


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_service_keeps_to_its_description(
    api: schemathesis.BaseSchema, mode: GenerationMode, known_ids: dict[str, str], subtests: pytest.Subtests
) -> None:
    answered: set[tuple[int, str]] = set()
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            if mode is GenerationMode.POSITIVE and case.method != "DELETE":
                name_known_objects(case, known_ids)
            answered.add((case.call_and_validate(checks=CHECKS).status_code // 100, case.operation.label))

        with subtests.test(operation.label), contextlib.suppress(Unsatisfiable):
            check()
    if mode is GenerationMode.POSITIVE:
        assert {(2, "GET /v1/jobs/{job_id}"), (2, "POST /v1/jobs"), (2, "GET /v1/models/{model_id}")} <= answered
