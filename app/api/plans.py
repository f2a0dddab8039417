"""/v1/plans"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_content
from app.api.context import ContextDependency, caller_with
from app.api.examples import PLAN, shown
from app.api.problems import error_responses
from app.api.strict_json import read_as, read_json_body
from app.api.submissions import JSON_EXAMPLES
from app.core.job_options import JobRequest
from app.core.keys import Caller
from app.core.plans.planning import plan_request
from app.core.plans.schemas import Plan

router = APIRouter(prefix="/v1/plans", tags=["jobs"])
Reader = Annotated[Caller, caller_with("jobs:read")]

_REQUEST = TypeAdapter(JobRequest)
_BODY: dict[str, Any] = {
    "required": True,
    "content": json_content("JobRequest", JSON_EXAMPLES),
}


@router.post(
    "",
    summary="Predict a job",
    openapi_extra={"requestBody": _BODY},
    responses={200: shown(PLAN), **error_responses(404, 409, 413, 415)},
)
async def plan_job(request: Request, context: ContextDependency, caller: Reader) -> Plan:
    """Checks a job's body as submitting it would, and says what it would come to: parameters, multiply-accumulates and
    size, the job's time and its memory. Nothing is run, queued or kept; `basis` says how each figure was obtained.
    409 as long as the model or the data set is `inspecting`.
    """
    body = read_as(_REQUEST, await read_json_body(request, context.settings.max_body_bytes))
    return await run_in_threadpool(plan_request, context.database, caller, body)
