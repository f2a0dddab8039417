"""The queue is the table `jobs`: claim, lease, fence, give back, finish.

A worker holds a job under a lease that its heartbeat renews. `attempt` is a fencing token: it grows with each claim,
and each later write names it, so a worker that was frozen past its lease can't change a job that another one holds.
"""

import time
from collections.abc import Collection
from typing import Any, Literal

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.core.database import Database
from app.core.endings import ended
from app.core.errors import Problem, ProblemBody
from app.core.events import add_event
from app.core.messages import EpochEnded
from app.core.schemas import Schema
from app.core.settings import Settings
from app.core.studies.lifecycle import job_started
from app.core.studies.sharing import UNENDED, release, steps_worth_sharing
from app.core.tables import DatasetRow, JobModelRow, JobRow, ModelRow

LONGEST_RETRY_SECONDS = 60.0


class LeaseLost(Exception):
    """Another worker holds the job now, or it was ended: whatever this worker made of it doesn't count."""


class Claim(Schema):
    """A job in this worker's hands."""

    job: str
    attempt: int
    kind: Literal["compress", "inspect", "sensitivity", "gate"]
    owner: str
    model: str | None
    dataset: str | None
    study: str | None = None
    request: dict[str, Any]
    created_at: float
    started_at: float


class Queue:
    def __init__(self, database: Database, settings: Settings, worker: str) -> None:
        self._database = database
        self._settings = settings
        self._worker = worker

    def claim(self, kinds: Collection[str]) -> Claim | None:
        """The oldest job that may run now, in one statement; None where there is none."""
        now = time.time()
        oldest = (
            select(JobRow.id)
            .where(
                JobRow.status == "queued",
                JobRow.not_before <= now,
                JobRow.kind.in_(kinds),
                ~_waits_for_inspection(),
                ~_waits_for_another(),
            )
            .order_by(JobRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        claiming = (
            update(JobRow)
            .where(JobRow.id == oldest.scalar_subquery(), JobRow.status == "queued")
            .values(
                status="running",
                attempt=JobRow.attempt + 1,
                worker=self._worker,
                lease_until=now + self._settings.lease_seconds,
                started_at=now,
                fraction=0.0,
                step=None,
                message=None,
            )
            .returning(JobRow)
        )
        with self._database.writing() as session:
            row = session.scalar(claiming)
            if row is None:
                return None
            add_event(session, row.id, "started", {"attempt": row.attempt})
            if row.study_id is not None:
                job_started(session, row.study_id)
            return _claim_of(row, now)

    def renew(self, claim: Claim) -> bool:
        """Renews the lease; true where the job's owner asked to cancel it."""
        with self._database.writing() as session:
            self._set(session, claim, lease_until=time.time() + self._settings.lease_seconds)
            return bool(session.scalar(select(JobRow.cancel_requested).where(JobRow.id == claim.job)))

    def report(self, claim: Claim, fraction: float, step: int | None, message: str) -> None:
        data = {"fraction": fraction, "step": step, "message": message}
        with self._database.writing() as session:
            self._set(session, claim, **data)
            add_event(session, claim.job, "progress", data)
            _pass_on(session, claim, step or 0)

    def warn(self, claim: Claim, message: str) -> None:
        with self._database.writing() as session:
            self._set(session, claim)
            add_event(session, claim.job, "warning", {"message": message})

    def report_epoch(self, claim: Claim, ended: EpochEnded) -> None:
        with self._database.writing() as session:
            self._set(session, claim)
            add_event(session, claim.job, "epoch", {"step": ended.step, **ended.epoch.model_dump(mode="json")})

    def resume(self, claim: Claim, steps_done: int, steps: int) -> None:
        """A checkpoint is there to go on from."""
        message = f"Continuing after step {steps_done} of {steps}"
        with self._database.writing() as session:
            self._set(session, claim, step=steps_done - 1, message=message)
            add_event(session, claim.job, "resumed", {"steps_done": steps_done, "message": message})
            _pass_on(session, claim, steps_done)

    def shared_steps(self, claim: Claim) -> frozenset[int]:
        """After how many of its steps other jobs of the study go on from where this one is."""
        if claim.study is None:
            return frozenset()
        with self._database.reading() as session:
            return steps_worth_sharing(session, session.get_one(JobRow, claim.job))

    def pass_on(self, claim: Claim, steps_done: int) -> None:
        """Jobs that wait for no more than so many of its steps may be claimed now."""
        with self._database.writing() as session:
            self._set(session, claim)
            _pass_on(session, claim, steps_done)

    def is_over(self, claim: Claim) -> bool:
        """Whether no further attempt will be made."""
        with self._database.reading() as session:
            status = session.scalar(select(JobRow.status).where(JobRow.id == claim.job))
            return status not in {"queued", "running"}

    def finish(self, session: Session, claim: Claim, status: str, **values: Any) -> None:
        """The job's end, inside the caller's transaction."""
        self._set(session, claim, status=status, lease_until=None, finished_at=time.time(), **values)
        ended(session, session.get_one(JobRow, claim.job, populate_existing=True))

    def fail(self, claim: Claim, problem: Problem) -> None:
        error = problem.body().model_dump(mode="json")
        with self._database.writing() as session:
            self.finish(session, claim, "failed", error=error)

    def cancel(self, claim: Claim) -> None:
        """Only once the child is gone."""
        with self._database.writing() as session:
            self.finish(session, claim, "canceled")

    def stop_early(self, claim: Claim, why: str) -> None:
        """A trial of a search that is hopeless: canceled by the service, once the child is gone."""
        error = ProblemBody(code="stopped_early", title="The trial was hopeless", detail=why).model_dump(mode="json")
        with self._database.writing() as session:
            self.finish(session, claim, "canceled", error=error)

    def give_back(self, claim: Claim) -> None:
        """Back to the queue at once, for no fault of the job's; a job that was to be canceled is canceled."""
        with self._database.writing() as session:
            self._set(session, claim)
            if session.scalar(select(JobRow.cancel_requested).where(JobRow.id == claim.job)):
                self.finish(session, claim, "canceled")
            else:
                self._set(session, claim, **_WAITING)
                add_event(session, claim.job, "released")

    def lose(self, claim: Claim, cause: str) -> None:
        """The child was lost: back to the queue after a wait, or failed when it happened too often."""
        with self._database.writing() as session:
            row = session.get(JobRow, claim.job)
            if row is None or row.attempt != claim.attempt or row.status != "running":
                raise LeaseLost
            self._lose(session, row, cause)

    def recover(self) -> int:
        """Takes back the jobs whose lease ran out; says how many."""
        with self._database.writing() as session:
            lapsed = select(JobRow).where(JobRow.status == "running", JobRow.lease_until < time.time())
            rows = list(session.scalars(lapsed))
            for row in rows:
                self._lose(session, row, f"the worker {row.worker} gave no sign of life")
            return len(rows)

    def _lose(self, session: Session, row: JobRow, cause: str) -> None:
        row.losses = [*row.losses, cause]
        row.lease_until = None
        add_event(session, row.id, "lost", {"cause": cause})
        if row.cancel_requested:
            row.status, row.finished_at = "canceled", time.time()
        elif len(row.losses) >= self._settings.max_attempts:
            row.status, row.error, row.finished_at = "failed", _lost_too_often(row), time.time()
        else:
            row.status, row.worker = "queued", None
            wait = self._settings.retry_seconds * 2 ** (len(row.losses) - 1)
            row.not_before = time.time() + min(wait, LONGEST_RETRY_SECONDS)
            return
        ended(session, row)

    def _set(self, session: Session, claim: Claim, **values: Any) -> None:
        """A write that counts only while this worker still holds the job."""
        held = and_(JobRow.id == claim.job, JobRow.attempt == claim.attempt, JobRow.status == "running")
        values.setdefault("worker", self._worker)
        changed = session.execute(update(JobRow).where(held).values(values).returning(JobRow.id))
        if changed.first() is None:
            raise LeaseLost


_WAITING: dict[str, Any] = {"status": "queued", "worker": None, "lease_until": None, "not_before": 0.0}


def _claim_of(row: JobRow, started_at: float) -> Claim:
    return Claim(
        job=row.id,
        attempt=row.attempt,
        kind=row.kind,
        owner=row.owner,
        model=row.model_id,
        dataset=row.dataset_id,
        study=row.study_id,
        request=row.request,
        created_at=row.created_at,
        started_at=started_at,
    )


def _pass_on(session: Session, claim: Claim, steps_done: int) -> None:
    if claim.study is not None and steps_done:
        release(session, session.get_one(JobRow, claim.job), steps_done)


def _waits_for_inspection() -> Any:
    """A job that is no inspection itself waits until its models and its data set were inspected."""
    named = exists().where(JobModelRow.job_id == JobRow.id, JobModelRow.model_id == ModelRow.id)
    model = exists().where((ModelRow.id == JobRow.model_id) | named, ModelRow.status == "inspecting")
    dataset = exists().where(DatasetRow.id == JobRow.dataset_id, DatasetRow.status == "inspecting")
    return and_(JobRow.kind != "inspect", or_(model, dataset))


def _waits_for_another() -> Any:
    """A job of a study waits while another one runs the steps that both begin with."""
    other = aliased(JobRow)
    return exists().where(other.id == JobRow.waits_for, other.status.in_(UNENDED))


def _lost_too_often(row: JobRow) -> dict[str, Any]:
    causes = "; ".join(row.losses)
    return ProblemBody(
        code="worker_lost",
        title="The job lost its worker too often",
        detail=f"It was tried {len(row.losses)} times: {causes}. Nothing of it was published. If the worker is well "
        "again, send the job once more; if this job always ends so, give it less memory to use.",
    ).model_dump(mode="json")
