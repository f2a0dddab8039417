"""A worker whose writes don't look at the fencing token: the control of the crash test."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.core.queue import Claim, Queue
from app.core.tables import JobRow


def write_whoever_holds_the_job(_queue: Queue, session: Session, claim: Claim, **values: Any) -> None:
    if values:
        session.execute(update(JobRow).where(JobRow.id == claim.job).values(values))


if __name__ == "__main__":
    from worker.__main__ import main

    Queue._set = write_whoever_holds_the_job  # type: ignore[method-assign]
    main()
