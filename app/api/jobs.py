"""/v1/jobs"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from app.api.answers import LOCATION, RETRY_AFTER, text_of
from app.api.context import ContextDependency, caller_with
from app.api.examples import CANCELED_JOB, QUEUED_JOB, RUNNING_JOB, SUCCEEDED_JOB, page_of, shown
from app.api.pagination import DEFAULT_LIMIT, After, Limit
from app.api.problems import error_responses
from app.api.submissions import REQUEST_BODY, submit
from app.api.waiting import Prefer, held
from app.core import jobs
from app.core.jobs import Job, JobKind, Status
from app.core.keys import Caller
from app.core.pages import Page

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Reader = Annotated[Caller, caller_with("jobs:read")]
Writer = Annotated[Caller, caller_with("jobs:write")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="The same key and body give the same answer; the same key with another body is 409.",
    ),
]
ModelId = Annotated[str | None, Query(max_length=40, pattern="^[a-z0-9_]*$", description="A model's id.")]
StudyId = Annotated[str | None, Query(max_length=40, pattern="^[a-z0-9_]*$", description="A study's id.")]


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={202: shown(QUEUED_JOB, headers=LOCATION | RETRY_AFTER), **error_responses(404, 409, 413, 415, 507)},
)
async def submit_job(
    request: Request,
    response: Response,
    context: ContextDependency,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Job:
    """Checks the recipe against what is known of the model and the data, and queues it.

    Send JSON that names a model and a data set which were uploaded before, or a form that brings the files along. A
    model that is still `inspecting` is accepted: what only its facts can tell fails the job later, with the same code.
    """
    job = await submit(request, context, caller, idempotency_key)

    def again() -> Job:
        return jobs.get(context.database, caller, job.id)

    return await held(job, prefer, request, response, context, is_done=lambda: again().done, again=again)


@router.get("", summary="List jobs", responses={200: shown(page_of(RUNNING_JOB)), **error_responses()})
def list_jobs(
    context: ContextDependency,
    caller: Reader,
    limit: Limit = DEFAULT_LIMIT,
    after: After = None,
    status: Status | None = None,
    model: ModelId = None,
    study: StudyId = None,
    kind: JobKind | None = None,
) -> Page[Job]:
    """Newest first. Inspections of models and data sets are jobs too; `kind=compress` leaves them out."""
    return jobs.page(context.database, caller, limit, after, status=status, model=model, study=study, kind=kind)


@router.get("/{job_id}", summary="Show a job", responses={200: shown(SUCCEEDED_JOB), **error_responses(404)})
def show_job(context: ContextDependency, caller: Reader, job_id: str) -> Job:
    """With its `result` once it has succeeded, its `error` once it has failed."""
    return jobs.get(context.database, caller, job_id)


@router.post(
    "/{job_id}/cancel", summary="Cancel a job", responses={200: shown(CANCELED_JOB), **error_responses(404, 409)}
)
def cancel_job(context: ContextDependency, caller: Writer, job_id: str) -> Job:
    """A running job is `canceled` only once its process is gone. May be repeated; 409 once it ended otherwise."""
    return jobs.cancel(context.database, caller, job_id)


@router.get(
    "/{job_id}/logs",
    summary="Show a job's log",
    response_class=Response,
    responses={200: text_of("text/plain"), **error_responses(404)},
)
def show_logs(context: ContextDependency, caller: Reader, job_id: str) -> Response:
    """What the job's processes printed so far."""
    with context.database.reading() as session:
        job = jobs.find(session, caller, job_id)
    return Response(context.logs.read(job.id), media_type="text/plain; charset=utf-8")


@router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=error_responses(404, 409))
def delete_job(context: ContextDependency, caller: Writer, job_id: str) -> None:
    """With its files and its log. Refused with 409 until it is done."""
    jobs.delete_job(context.database, context.storage, context.logs, caller, job_id)
