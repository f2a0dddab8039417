"""`Prefer: wait=30` (RFC 7240): hold an answer back until a job or a study is done, or the seconds have passed."""

import re
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
from fastapi import Header, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import say_where
from app.api.context import Context
from app.core.jobs import Job
from app.core.studies.schemas import Study

Accepted = TypeVar("Accepted", Job, Study)

Prefer = Annotated[
    str | None,
    Header(description="`wait=30` holds the answer until it is done or the seconds have passed."),
]

LONGEST_WAIT_SECONDS = 300
POLL_SECONDS = 0.2
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*(\d{1,9})\s*(?:$|[,;])", re.IGNORECASE)


def seconds_to_wait(prefer: str | None) -> int:
    preference = _WAIT.search(prefer or "")
    return min(int(preference[1]), LONGEST_WAIT_SECONDS) if preference else 0


async def held(
    accepted: Accepted,
    prefer: str | None,
    request: Request,
    response: Response,
    context: Context,
    *,
    is_done: Callable[[], bool],
    again: Callable[[], Accepted],
) -> Accepted:
    """What was accepted or, where the caller prefers to wait, what has become of it by then; `response` says where."""
    seconds = seconds_to_wait(prefer)
    if seconds:
        await wait_until_done(request, context, seconds, is_done)
        accepted = await run_in_threadpool(again)
        response.headers["Preference-Applied"] = f"wait={seconds}"
    say_where(response, accepted.urls.self)
    return accepted


async def wait_until_done(request: Request, context: Context, seconds: int, is_done: Callable[[], bool]) -> None:
    """Until it is done, the time is up, nobody listens any more, or the service ends."""
    deadline = time.monotonic() + seconds
    while not (context.stopping.is_set() or time.monotonic() > deadline or await request.is_disconnected()):
        if await run_in_threadpool(is_done):
            return
        await anyio.sleep(POLL_SECONDS)
