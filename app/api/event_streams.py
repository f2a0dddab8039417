"""Events as a list, or as a stream of server-sent events that goes on until what they are about is done."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
from fastapi import Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.api.accepting import best_match
from app.api.context import Context
from app.api.examples import EVENT_STREAM, page_of
from app.api.problems import error_responses
from app.core.errors import NotFound
from app.core.events import Event
from app.core.jobs import FINISHED, Status
from app.core.pages import Page

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
_BATCH = 500

AfterEvent = Annotated[int, Query(ge=0, lt=1 << 62, description="An event's id: what came after it is listed.")]
LastEventId = Annotated[
    str | None, Header(description="Sent by a client that lost its stream; goes before `after`.", examples=["17"])
]


@dataclass(frozen=True)
class Followed:
    """A job or a study as it is when somebody begins to follow it. `find` raises `NotFound` once it was deleted."""

    id: str
    status: Status
    url: str
    read: Callable[[Session, str, int, int], Sequence[Event]]
    find: Callable[[], object]


def responses(event: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": "Events in the order in which they happened.",
            "content": {
                "application/json": {"example": page_of(event)},
                "text/event-stream": {"schema": {"type": "string"}, "example": EVENT_STREAM},
            },
        },
        **error_responses(404),
    }


async def answer_events(
    request: Request, context: Context, followed: Followed, after: int, limit: int, last_event_id: str | None
) -> Page[Event] | Response:
    """By the header Accept; a stream's last event is `done`."""
    accepted = best_match(request, ("application/json", "text/event-stream"))
    if accepted == "text/event-stream":
        start = _event_id(last_event_id, after)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return EventSourceResponse(_stream(context, followed, start), headers=headers)
    events = await run_in_threadpool(_read, context, followed, after, limit + 1)
    return Page[Event](data=tuple(events[:limit]), has_more=len(events) > limit)


def _event_id(last_event_id: str | None, after: int) -> int:
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else after


def _read(context: Context, followed: Followed, after: int, limit: int) -> Sequence[Event]:
    with context.database.reading() as session:
        return followed.read(session, followed.id, after, limit)


async def _stream(context: Context, followed: Followed, after: int) -> AsyncIterator[bytes]:
    """One small query a turn. The last event names the status that it ended with."""
    ended = followed.status if followed.status in FINISHED else None
    last_sent = time.monotonic()
    while not context.stopping.is_set():
        events = await run_in_threadpool(_read, context, followed, after, _BATCH)
        for event in events:
            yield format_sse_event(event=event.type, data_str=event.model_dump_json(), id=str(event.id))
            after, last_sent = event.id, time.monotonic()
            ended = next((status for status in FINISHED if status == event.type), ended)
        if ended and len(events) < _BATCH:
            yield _done(followed, ended, after)
            return
        if time.monotonic() - last_sent > HEARTBEAT_SECONDS:
            if not await run_in_threadpool(_is_there, followed):
                return
            yield KEEPALIVE_COMMENT
            last_sent = time.monotonic()
        await anyio.sleep(POLL_SECONDS)


def _done(followed: Followed, status: str, last_id: int) -> bytes:
    summary = {"id": followed.id, "status": status, "url": followed.url}
    return format_sse_event(event="done", data_str=json.dumps(summary), id=str(last_id))


def _is_there(followed: Followed) -> bool:
    """Not where it was deleted while its events were followed."""
    try:
        followed.find()
    except NotFound:
        return False
    return True
