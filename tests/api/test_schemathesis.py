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

from app.api.context import Context
from app.core import workers
from app.core.queue import Queue
from tests.api.live import served
from tests.core.rows import SANDBOX
from tests.core.studies.finished import PRUNING, end_in_order, result, started, steps

WORKING = {
    ("GET", "models/{model_id}"),
    ("GET", "jobs/{job_id}"),
    ("GET", "studies/{study_id}"),
    ("GET", "studies/{study_id}/report"),
    ("POST", "jobs"),
    ("POST", "studies"),
}
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
def api(app: FastAPI, known_ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[schemathesis.BaseSchema]:
    monkeypatch.setattr(workers, "LOST_AFTER_SECONDS", 3600)
    workers.sign_on(app.state.context.database, "worker-1", SANDBOX)
    with served(app) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.fixture
def finished_study(context: Context, model: str, dataset: str) -> str:
    study = started(context.database, steps(PRUNING))
    end_in_order(context.database, Queue(context.database, context.settings, "worker-1"), result(400, 2.0, 0.97))
    return study.id


@pytest.fixture
def known_ids(model: str, dataset: str, finished_job: str, finished_study: str) -> dict[str, str]:
    ids = {"model_id": model, "dataset_id": dataset, "job_id": finished_job, "name": "model.onnx"}
    return ids | {"study_id": finished_study}


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
        assert {(2, f"{method} /v1/{noun}") for method, noun in WORKING} <= answered
