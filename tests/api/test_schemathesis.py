"""Whatever is sent, right or wrong: no 5xx, and every answer is as the OpenAPI document says."""

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
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
from tests.api.conftest import DATASET, TORCHSCRIPT
from tests.api.fresh_objects import FORMS, fresh_ids
from tests.api.live import served
from tests.core.rows import SANDBOX
from tests.core.studies.finished import PRUNING, end_in_order, result, started, steps

CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
CASES = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    # A failure is told as it was met: to look for a smaller one took minutes.
    phases=(Phase.explicit, Phase.generate),
)
UNKNOWN = st.sampled_from([False, False, True])
CONDITIONS = st.sampled_from([{}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}])


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
def known_ids(context: Context, model: str, dataset: str, finished_job: str, finished_study: str) -> dict[str, str]:
    context.storage.store(TORCHSCRIPT, f"models/{model}")
    context.storage.store(DATASET, f"datasets/{dataset}")
    ids = {"model_id": model, "dataset_id": dataset, "job_id": finished_job, "name": "model.onnx"}
    return ids | {"study_id": finished_study}


def documented_successes(operation: schemathesis.APIOperation) -> set[tuple[str, int]]:
    """A caller whose copy is good has succeeded, too."""
    codes = {int(code) for code in operation.definition.raw["responses"]}
    return {(operation.label, code) for code in codes if code < 300 or code == 304}


def can_be_wrong(operation: schemathesis.APIOperation) -> bool:
    """Whether there is anything in it but a path, in which any text is right."""
    return bool(operation.body or operation.query or operation.headers)


def cases_of(operation: schemathesis.APIOperation, mode: GenerationMode) -> st.SearchStrategy[schemathesis.Case]:
    """Half of the right ones are examples of the description where it has any: few bodies made at random are right."""
    made = operation.as_strategy(generation_mode=mode)
    examples = operation.get_strategies_from_examples() if mode is GenerationMode.POSITIVE else []
    return st.booleans().flatmap(lambda random: made if random or not examples else st.one_of(examples))


def name_known_objects(case: schemathesis.Case, ids: dict[str, str]) -> None:
    """Without this, right requests would hardly ever get further than 404."""
    case.path_parameters.update({name: ids[name] for name in case.path_parameters})
    if isinstance(case.body, dict) and case.media_type == "application/json":
        named = {"model": ids["model_id"], "dataset": ids["dataset_id"]}
        case.body |= {name: known for name, known in named.items() if name in case.body}


def with_real_files(case: schemathesis.Case) -> schemathesis.Case:
    """A case of our own: in one that was made for us bytes count as no text, and so as wrong."""
    if case.media_type != "multipart/form-data":
        return case
    named = {"name": case.body["name"]} if "name" in case.body else {}
    form = {**named, **FORMS[case.operation.label]}
    return case.operation.Case(headers=case.headers, body=form, media_type=case.media_type)


def ask_for_part(case: schemathesis.Case, condition: dict[str, str]) -> None:
    """By headers that belong to HTTP, and that the description therefore doesn't tell of."""
    if "206" in case.operation.definition.raw["responses"]:
        case.headers.update(condition)


@pytest.mark.slow
def test_right_requests_are_answered_as_described(
    api: schemathesis.BaseSchema, context: Context, known_ids: dict[str, str], subtests: pytest.Subtests
) -> None:
    """The cases are the same in every run, so that what fails was brought by a change."""
    wanted: set[tuple[str, int]] = set()
    answered: set[tuple[str, int]] = set()
    for found in api.get_all_operations():
        operation = found.ok()
        wanted |= documented_successes(operation)

        @CASES
        @given(case=cases_of(operation, GenerationMode.POSITIVE), unknown=UNKNOWN, condition=CONDITIONS)
        def check(case: schemathesis.Case, unknown: bool, condition: dict[str, str]) -> None:
            if not unknown:
                name_known_objects(case, known_ids | fresh_ids(context, case.operation.label))
                case = with_real_files(case)
                ask_for_part(case, condition)
            answered.add((case.operation.label, case.call_and_validate(checks=CHECKS).status_code))

        with subtests.test(operation.label):
            check()
    assert wanted - answered == set()


@pytest.mark.slow
def test_wrong_requests_are_answered_as_described(api: schemathesis.BaseSchema, subtests: pytest.Subtests) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    for operation in filter(can_be_wrong, operations):

        @CASES
        @given(case=cases_of(operation, GenerationMode.NEGATIVE))
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        with subtests.test(operation.label):
            check()
