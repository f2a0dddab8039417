"""/v1/jobs/{job_id}/events: as a list, or as a stream of server-sent events."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

from app.api.accepting import best_match
from app.api.context import Context, ContextDependency, caller_with
from app.api.examples import EVENT, EVENT_STREAM, page_of
from app.api.pagination import Limit
from app.api.problems import error_responses
from app.core import jobs
from app.core.errors import NotFound
from app.core.events import Event, events_after
from app.core.jobs import FINISHED, Job
from app.core.keys import Caller
from app.core.pages import LARGEST_LIMIT, Page

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Reader = Annotated[Caller, caller_with("jobs:read")]

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
_BATCH = 500

After = Annotated[int, Query(ge=0, lt=1 << 62, description="An event's id: what came after it is listed.")]
LastEventId = Annotated[
    str | None, Header(description="Sent by a client that lost its stream; goes before `after`.", examples=["17"])
]


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_model=Page[Event],
    responses={
        200: {
            "description": "Events in the order in which they happened.",
            "content": {
                "application/json": {"example": page_of(EVENT)},
                "text/event-stream": {"schema": {"type": "string"}, "example": EVENT_STREAM},
            },
        },
        **error_responses(404),
    },
)
async def list_events(
    request: Request,
    context: ContextDependency,
    caller: Reader,
    job_id: str,
    after: After = 0,
    limit: Limit = LARGEST_LIMIT,
    last_event_id: LastEventId = None,
) -> Page[Event] | Response:
    """Oldest first. With `Accept: text/event-stream` the answer is a stream that goes on until the job is done and
    ends with an event `done`; each event has an id, so a client that lost the stream resumes where it was."""
    job = await run_in_threadpool(jobs.get, context.database, caller, job_id)
    accepted = best_match(request, ("application/json", "text/event-stream"))
    if accepted == "text/event-stream":
        start = _event_id(last_event_id, after)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return EventSourceResponse(_stream(context, caller, job, start), headers=headers)
    events = await run_in_threadpool(_read, context, job_id, after, limit + 1)
    return Page[Event](data=tuple(events[:limit]), has_more=len(events) > limit)


def _event_id(last_event_id: str | None, after: int) -> int:
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else after


def _read(context: Context, job_id: str, after: int, limit: int) -> Sequence[Event]:
    with context.database.reading() as session:
        return events_after(session, job_id, after, limit)


async def _stream(context: Context, caller: Caller, job: Job, after: int) -> AsyncIterator[bytes]:
    """One small query a turn. A job's last event names the status that it ended with."""
    ended = job.status if job.done else None
    last_sent = time.monotonic()
    while not context.stopping.is_set():
        events = await run_in_threadpool(_read, context, job.id, after, _BATCH)
        for event in events:
            yield format_sse_event(event=event.type, data_str=event.model_dump_json(), id=str(event.id))
            after, last_sent = event.id, time.monotonic()
            ended = event.type if event.type in FINISHED else ended
        if ended and len(events) < _BATCH:
            yield _done(job, ended, after)
            return
        if time.monotonic() - last_sent > HEARTBEAT_SECONDS:
            if not await run_in_threadpool(_is_there, context, caller, job.id):
                return
            yield KEEPALIVE_COMMENT
            last_sent = time.monotonic()
        await anyio.sleep(POLL_SECONDS)


def _done(job: Job, status: str, last_id: int) -> bytes:
    summary = {"id": job.id, "status": status, "url": job.urls.self}
    return format_sse_event(event="done", data_str=json.dumps(summary), id=str(last_id))


def _is_there(context: Context, caller: Caller, job_id: str) -> bool:
    """Not where it was deleted while its events were followed."""
    try:
        jobs.get(context.database, caller, job_id)
    except NotFound:
        return False
    return True
