"""/v1/jobs/{job_id}/events"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.context import ContextDependency, caller_with
from app.api.event_streams import AfterEvent, Followed, LastEventId, answer_events, responses
from app.api.examples import EVENT
from app.api.pagination import Limit
from app.core import jobs
from app.core.events import Event, events_after
from app.core.keys import Caller
from app.core.pages import LARGEST_LIMIT, Page

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Reader = Annotated[Caller, caller_with("jobs:read")]


@router.get("/{job_id}/events", summary="Follow a job", response_model=Page[Event], responses=responses(EVENT))
async def list_events(
    request: Request,
    context: ContextDependency,
    caller: Reader,
    job_id: str,
    after: AfterEvent = 0,
    limit: Limit = LARGEST_LIMIT,
    last_event_id: LastEventId = None,
) -> Page[Event] | Response:
    """Oldest first. With `Accept: text/event-stream` the answer is a stream that goes on until the job is done and
    ends with an event `done`; each event has an id, so a client that lost the stream resumes where it was."""
    job = await run_in_threadpool(jobs.get, context.database, caller, job_id)
    followed = Followed(
        job.id, job.status, job.urls.self, events_after, lambda: jobs.get(context.database, caller, job_id)
    )
    return await answer_events(request, context, followed, after, limit, last_event_id)
