"""Steps that two jobs of a study begin with are run by one of them.

The other one `waits_for` it, and goes on from its checkpoint (see `app/core/checkpoints.py`). What a quantize step
leaves can't be kept, so that nothing is shared from the first of them on.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.recipes import TECHNIQUES
from app.core.tables import JobRow, StudyRow

UNENDED = ("queued", "running")


def shared_steps(one: JobRow, other: JobRow) -> int:
    """How many steps both begin with, which are the same in all that they do."""
    if one.request["seed"] != other.request["seed"]:
        return 0
    pairs = zip(_lasting_steps(one), _lasting_steps(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _lasting_steps(row: JobRow) -> list[Any]:
    """A preset's steps are known only to the job itself; all of them quantize. What a search asks beside its trials has
    no recipe."""
    steps = row.request.get("recipe", {}).get("steps") or ()
    return list(takewhile(lambda step: TECHNIQUES[step["technique"]].stage != "quantize", steps))


def arrange(rows: Sequence[JobRow], earlier: Sequence[JobRow] = ()) -> None:
    """Each of these queued jobs waits for the one before it that it has most steps in common with; `earlier` are
    others of the study that haven't ended."""
    before = list(earlier)
    for row in rows:
        row.waits_for = _leader(row, before)
        before.append(row)


def _leader(row: JobRow, before: Sequence[JobRow]) -> str | None:
    most, leader = 0, None
    for other in before:
        shared = shared_steps(row, other)
        is_past = other.step is not None and other.step >= shared
        if shared > most and not is_past:
            most, leader = shared, other.id
    return leader


def release(session: Session, row: JobRow, steps_done: int) -> None:
    """Lets go those that wait for no more than what the job has done."""
    for follower in _followers(session, row.id):
        if shared_steps(follower, row) <= steps_done:
            follower.waits_for = None


def hand_over(session: Session, job_id: str) -> None:
    """When a job has ended: of those that still wait for it, one goes first."""
    arrange(_followers(session, job_id))


def _followers(session: Session, job_id: str) -> Sequence[JobRow]:
    return session.scalars(select(JobRow).where(JobRow.waits_for == job_id).order_by(JobRow.id)).all()


def steps_worth_sharing(session: Session, row: JobRow) -> frozenset[int]:
    """After how many of its first steps the job has what others of its study go on from. A search tries the best of
    what its trials have trained in other precisions later."""
    others = session.scalars(
        select(JobRow).where(JobRow.study_id == row.study_id, JobRow.id != row.id, JobRow.status.in_(UNENDED))
    )
    may_grow = session.scalar(select(StudyRow.open).where(StudyRow.id == row.study_id))
    later = {len(_lasting_steps(row))} if may_grow else set()
    return frozenset(later.union(shared_steps(row, other) for other in others) - {0})
