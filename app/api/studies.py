"""/v1/studies"""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from app.api.accepting import best_match
from app.api.answers import LOCATION, RETRY_AFTER, json_content, text_of
from app.api.context import ContextDependency, caller_with
from app.api.event_streams import AfterEvent, Followed, LastEventId, answer_events, responses
from app.api.examples import page_of, shown
from app.api.jobs import IdempotencyKey
from app.api.pagination import DEFAULT_LIMIT, After, Limit
from app.api.problems import error_responses
from app.api.strict_json import read_as, read_json_body
from app.api.study_examples import CANCELED_STUDY, QUEUED_STUDY, REQUESTS, STUDY_EVENT, STUDY_SUMMARY, SUCCEEDED_STUDY
from app.api.submissions import idempotency_of
from app.api.waiting import Prefer, held
from app.core.events import Event, study_events_after
from app.core.job_options import check_limits
from app.core.jobs import Status
from app.core.keys import Caller
from app.core.pages import LARGEST_LIMIT, Page
from app.core.reports.policy import CONTENT_POLICY
from app.core.reports.studies import StudyReportKind, render_study
from app.core.studies import reading
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import Study, StudySummary
from app.core.studies.submitting import submit_study

router = APIRouter(prefix="/v1/studies", tags=["studies"])
Reader = Annotated[Caller, caller_with("studies:read")]
Writer = Annotated[Caller, caller_with("studies:write")]

_REPORTS: dict[str, StudyReportKind] = {"text/html": "html", "text/markdown": "md", "application/json": "json"}
_REPORT_POLICY = f"{CONTENT_POLICY}; frame-ancestors 'none'"
_REQUEST = TypeAdapter(StudyRequest)
_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": json_content("StudyRequest", REQUESTS),
}


@router.post(
    "",
    status_code=202,
    summary="Start a study",
    openapi_extra={"requestBody": _REQUEST_BODY},
    responses={202: shown(QUEUED_STUDY, headers=LOCATION | RETRY_AFTER), **error_responses(404, 409, 413, 415)},
)
async def start_study(
    request: Request,
    response: Response,
    context: ContextDependency,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Study:
    """Compares recipes on one model: one job for each recipe, each value in its lists and each seed. With `search` in
    place of `recipes` it looks for one that keeps to a budget.

    Any field of a step that takes one value may have a list of them. With `controls` each pruning is also run at random
    and by plain magnitude. All is checked before anything is queued. Steps that jobs begin with alike are run once.
    """
    body = await read_json_body(request, context.settings.max_body_bytes)
    asked = read_as(_REQUEST, body)
    check_limits(asked, context.settings)
    idempotency = idempotency_of(idempotency_key, asked.model_dump(mode="json"))
    study = await run_in_threadpool(submit_study, context.database, caller, asked, idempotency)

    def is_done() -> bool:
        return reading.get_summary(context.database, caller, study.id).done

    def again() -> Study:
        return reading.get(context.database, caller, study.id)

    return await held(study, prefer, request, response, context, is_done=is_done, again=again)


@router.get("", summary="List studies", responses={200: shown(page_of(STUDY_SUMMARY)), **error_responses()})
def list_studies(
    context: ContextDependency,
    caller: Reader,
    limit: Limit = DEFAULT_LIMIT,
    after: After = None,
    status: Status | None = None,
) -> Page[StudySummary]:
    """Newest first, without their points."""
    return reading.page(context.database, caller, limit, after, status=status)


@router.get("/{study_id}", summary="Show a study", responses={200: shown(SUCCEEDED_STUDY), **error_responses(404)})
def show_study(context: ContextDependency, caller: Reader, study_id: str) -> Study:
    """With what its jobs have come to so far."""
    return reading.get(context.database, caller, study_id)


@router.post(
    "/{study_id}/cancel", summary="Cancel a study", responses={200: shown(CANCELED_STUDY), **error_responses(404, 409)}
)
def cancel_study(context: ContextDependency, caller: Writer, study_id: str) -> Study:
    """Cancels its jobs; it is `canceled` once all of them have ended. What is done by then stays. May be repeated."""
    return reading.cancel(context.database, caller, study_id)


@router.get(
    "/{study_id}/events", summary="Follow a study", response_model=Page[Event], responses=responses(STUDY_EVENT)
)
async def list_study_events(
    request: Request,
    context: ContextDependency,
    caller: Reader,
    study_id: str,
    after: AfterEvent = 0,
    limit: Limit = LARGEST_LIMIT,
    last_event_id: LastEventId = None,
) -> Page[Event] | Response:
    """Oldest first; as JSON or, with `Accept: text/event-stream`, as a stream like that of a job."""
    study = await run_in_threadpool(reading.get_summary, context.database, caller, study_id)
    followed = Followed(
        study.id,
        study.status,
        study.urls.self,
        study_events_after,
        lambda: reading.get_summary(context.database, caller, study_id),
    )
    return await answer_events(request, context, followed, after, limit, last_event_id)


@router.get(
    "/{study_id}/report",
    summary="Show a study's report",
    response_class=Response,
    responses={200: text_of(*_REPORTS), **error_responses(404, 406, 409)},
)
def show_study_report(request: Request, context: ContextDependency, caller: Reader, study_id: str) -> Response:
    """As HTML, Markdown or JSON, by `Accept`. Of a study that is still running, what it has come to so far."""
    study = reading.get_reported(context.database, caller, study_id)
    media_type = best_match(request, tuple(_REPORTS))
    headers = {"Content-Security-Policy": _REPORT_POLICY, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    return Response(render_study(study, _REPORTS[media_type]), media_type=media_type, headers=headers)


@router.delete("/{study_id}", status_code=204, summary="Delete a study", responses=error_responses(404, 409))
def delete_study(context: ContextDependency, caller: Writer, study_id: str) -> None:
    """With all its jobs and their files. Refused with 409 until it is done."""
    reading.delete(context.database, context.storage, context.logs, caller, study_id)
