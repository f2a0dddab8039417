"""`Prefer: wait=30` (RFC 7240): hold an answer back until a job or a study is done, or the seconds have passed."""

import re
import time
from collections.abc import Callable
from typing import Annotated

import anyio
from fastapi import Header, Request
from starlette.concurrency import run_in_threadpool

from app.api.context import Context

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


async def wait_until_done(request: Request, context: Context, seconds: int, is_done: Callable[[], bool]) -> None:
    """Until it is done, the time is up, nobody listens any more, or the service ends."""
    deadline = time.monotonic() + seconds
    while not (context.stopping.is_set() or time.monotonic() > deadline or await request.is_disconnected()):
        if await run_in_threadpool(is_done):
            return
        await anyio.sleep(POLL_SECONDS)
