"""/v1/models/{model_id}/sensitivity"""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from app.api.answers import LOCATION, RETRY_AFTER, json_content, say_where
from app.api.context import ContextDependency, caller_with
from app.api.examples import QUEUED_SENSITIVITY, shown
from app.api.jobs import IdempotencyKey
from app.api.problems import error_responses
from app.api.strict_json import read_as, read_json_body
from app.api.submissions import idempotency_of
from app.core.jobs import Job
from app.core.keys import Caller
from app.core.sensitivities import SensitivityOptions
from app.core.sensitivity import submit_sensitivity

router = APIRouter(prefix="/v1/models", tags=["models"])
JobWriter = Annotated[Caller, caller_with("jobs:write")]

_OPTIONS = TypeAdapter(SensitivityOptions)
_BODY: dict[str, Any] = {
    "required": True,
    "content": json_content(
        "SensitivityOptions",
        {
            "with data": {"summary": "On a data set", "value": {"dataset": "dataset_…", "seed": 0}},
            "without data": {"summary": "On random inputs", "value": {}},
        },
    ),
}


@router.post(
    "/{model_id}/sensitivity",
    status_code=202,
    summary="Measure a model's sensitivity",
    openapi_extra={"requestBody": _BODY},
    responses={
        202: shown(QUEUED_SENSITIVITY, headers=LOCATION | RETRY_AFTER),
        **error_responses(404, 409, 413, 415),
    },
)
async def measure_sensitivity(
    request: Request,
    response: Response,
    context: ContextDependency,
    caller: JobWriter,
    model_id: str,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Queues a job of kind `sensitivity`: each layer alone is pruned and stored in fewer bits, by several amounts, and
    the change of the quality is measured on training examples; without labels as agreement with the model as it is,
    without data on random inputs, which the result marks as synthetic.
    """
    options = read_as(_OPTIONS, await read_json_body(request, context.settings.max_body_bytes))
    sent = {"model": model_id, **options.model_dump(mode="json")}
    idempotency = idempotency_of(idempotency_key, sent)
    job = await run_in_threadpool(submit_sensitivity, context.database, caller, model_id, options, idempotency)
    say_where(response, job.urls.self)
    return job
