"""`Prefer: wait=30` (RFC 7240): hold an answer back until the job is done, or the seconds have passed."""

import re
import time

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.context import Context
from app.core import jobs
from app.core.jobs import Job
from app.core.keys import Caller

LONGEST_WAIT_SECONDS = 300
POLL_SECONDS = 0.2
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*(\d{1,9})\s*(?:$|[,;])", re.IGNORECASE)


def seconds_to_wait(prefer: str | None) -> int:
    preference = _WAIT.search(prefer or "")
    return min(int(preference[1]), LONGEST_WAIT_SECONDS) if preference else 0


async def wait_until_done(request: Request, context: Context, caller: Caller, job: Job, seconds: int) -> Job:
    """The job as it is when it is done, when the time is up, when nobody listens any more, or when the service ends."""
    deadline = time.monotonic() + seconds
    while not (job.done or context.stopping.is_set() or time.monotonic() > deadline or await request.is_disconnected()):
        await anyio.sleep(POLL_SECONDS)
        job = await run_in_threadpool(jobs.get, context.database, caller, job.id)
    return job
