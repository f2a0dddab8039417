"""A job's life as a state machine: whatever callers and workers do, in whatever order, its promises hold.

Beside the database an account is kept of what each job should be, and the two agree after every step. There are rules
for claims that are held, for claims that are lost and for jobs that ended, so that hardly a step is spent on nothing.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from app.core import jobs
from app.core.database import Database
from app.core.errors import Conflict, Invalid
from app.core.keys import LOCAL
from app.core.measurements import Epoch
from app.core.messages import EpochEnded
from app.core.queue import Claim, LeaseLost, Queue
from app.core.settings import Settings
from app.core.tables import EventRow

AT_ONCE = 1e-9
MOST_LOSSES = 2
EPOCH = EpochEnded(step=0, epoch=Epoch(epoch=1, epochs=2, loss=0.5, learning_rate=0.1, seconds=1))

Act = Callable[[Queue, Claim], object]
SIGNS_OF_LIFE: dict[str, Act] = {
    "report": lambda queue, claim: queue.report(claim, 0.5, 0, "half"),
    "report_epoch": lambda queue, claim: queue.report_epoch(claim, EPOCH),
    "warn": lambda queue, claim: queue.warn(claim, "beware"),
    "resume": lambda queue, claim: queue.resume(claim, 1, 2),
    "pass_on": lambda queue, claim: queue.pass_on(claim, 1),
}
RETURNS: dict[str, Act] = {
    "give_back": lambda queue, claim: queue.give_back(claim),
    "lose": lambda queue, claim: queue.lose(claim, "killed"),
}
CANCELS: dict[str, Act] = {
    "cancel": lambda queue, claim: queue.cancel(claim),
    "stop_early": lambda queue, claim: queue.stop_early(claim, "hopeless"),
}
LATE_ACTS: list[Act] = [
    Queue.renew,
    *SIGNS_OF_LIFE.values(),
    *RETURNS.values(),
    *CANCELS.values(),
    lambda queue, claim: queue.fail(claim, Invalid("no")),
]


@dataclass
class Expected:
    """What a job should be."""

    status: str = "queued"
    attempt: int = 0
    losses: int = 0
    to_be_canceled: bool = False
    lapsed: bool = False

    def claimed(self) -> None:
        self.status, self.attempt, self.lapsed = "running", self.attempt + 1, False

    def returned(self) -> None:
        self.status = "canceled" if self.to_be_canceled else "queued"

    def lost(self) -> None:
        self.losses += 1
        self.returned()
        if self.status == "queued" and self.losses == MOST_LOSSES:
            self.status = "failed"

    def cancel(self) -> None:
        self.to_be_canceled = True
        self.status = "canceled" if self.status == "queued" else self.status


@cache
def empty_database() -> bytes:
    """Its tables are made once: that takes longer than all that is done to one of its copies."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Settings(data_dir=Path(folder))
        database = Database(chosen.url)
        database.migrate()
        database.close()
        return (chosen.data_dir / "modelpress.db").read_bytes()


class JobLifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        chosen = Settings(data_dir=Path(self.folder.name), retry_seconds=AT_ONCE, max_attempts=MOST_LOSSES)
        (chosen.data_dir / "modelpress.db").write_bytes(empty_database())
        self.database = Database(chosen.url)
        self.workers = [Queue(self.database, chosen, name) for name in ("a", "b")]
        self.freezing = Queue(self.database, chosen.model_copy(update={"lease_seconds": AT_ONCE}), "a")
        self.claims: list[tuple[Queue, Claim]] = []
        self.expected: dict[str, Expected] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def _one_held(self, data: st.DataObject) -> tuple[Queue, Claim]:
        """Where nothing is held, a job is taken in hand first: a step that finds nothing to do tests nothing."""
        while not (held := [entry for entry in self.claims if self._holds(entry[1])]):
            self.submit()
            self.claim(0)
        return data.draw(st.sampled_from(held))

    def stale(self) -> list[tuple[Queue, Claim]]:
        return [entry for entry in self.claims if not self._holds(entry[1])]

    def _holds(self, claim: Claim) -> bool:
        expected = self.expected[claim.job]
        return (expected.status, expected.attempt) == ("running", claim.attempt)

    def of_status(self, *wanted: str) -> list[str]:
        return sorted(job for job, expected in self.expected.items() if expected.status in wanted)

    @rule()
    def submit(self) -> None:
        with self.database.writing() as session:
            row = jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None))
        self.expected[row.id] = Expected()

    @rule(worker=st.integers(0, 1))
    def claim(self, worker: int) -> None:
        claim = self.workers[worker].claim(("compress",))
        assert [claim.job if claim else None] == [*self.of_status("queued"), None][:1]
        if claim is not None:
            self.expected[claim.job].claimed()
            assert claim.attempt == self.expected[claim.job].attempt
            self.claims.append((self.workers[worker], claim))

    @rule(data=st.data(), act=st.sampled_from(sorted(SIGNS_OF_LIFE)))
    def give_a_sign_of_life(self, data: st.DataObject, act: str) -> None:
        queue, claim = self._one_held(data)
        SIGNS_OF_LIFE[act](queue, claim)

    @rule(data=st.data(), freezes=st.booleans())
    def renew(self, data: st.DataObject, freezes: bool) -> None:
        """A worker that freezes after its heartbeat is one whose lease is over at once."""
        queue, claim = self._one_held(data)
        expected = self.expected[claim.job]
        assert (self.freezing if freezes else queue).renew(claim) == expected.to_be_canceled
        expected.lapsed = freezes

    @rule(data=st.data(), status=st.sampled_from(["succeeded", "failed"]))
    def end(self, data: st.DataObject, status: str) -> None:
        """Whoever cancels it then comes too late."""
        queue, claim = self._one_held(data)
        self._succeed(queue, claim) if status == "succeeded" else queue.fail(claim, Invalid("no"))
        self.expected[claim.job].status = status
        self.cancel_what_has_ended()

    @rule(data=st.data(), act=st.sampled_from(sorted(CANCELS)))
    def end_canceled(self, data: st.DataObject, act: str) -> None:
        """Whoever cancels it then is told that it is canceled."""
        queue, claim = self._one_held(data)
        CANCELS[act](queue, claim)
        self.expected[claim.job].status = "canceled"
        self._cancel(claim.job)

    @rule(data=st.data(), act=st.sampled_from(sorted(RETURNS)), cancels=st.integers(0, 2))
    def send_back(self, data: st.DataObject, act: str, cancels: int) -> None:
        """Also when it was to be canceled, which may be said more than once."""
        queue, claim = self._one_held(data)
        for _ in range(cancels):
            self._cancel(claim.job)
        RETURNS[act](queue, claim)
        expected = self.expected[claim.job]
        expected.lost() if act == "lose" else expected.returned()

    @rule()
    def recover(self) -> None:
        lapsed = [job for job in self.of_status("running") if self.expected[job].lapsed]
        assert self.workers[0].recover() == len(lapsed)
        for job in lapsed:
            self.expected[job].lost()

    @rule(data=st.data())
    def take_over(self, data: st.DataObject) -> None:
        """A worker freezes past its lease, the other one claims all there is, and then the first one goes on."""
        queue, claim = self._one_held(data)
        self.freezing.renew(claim)
        self.expected[claim.job].lapsed = True
        self.recover()
        while self.of_status("queued"):
            self.claim(1 - self.workers.index(queue))
        self._comes_too_late(queue, claim)

    @precondition(lambda self: self.stale())
    @rule(data=st.data())
    def come_back_too_late(self, data: st.DataObject) -> None:
        self._comes_too_late(*data.draw(st.sampled_from(self.stale())))

    def _comes_too_late(self, queue: Queue, claim: Claim) -> None:
        """Whatever a worker tries on a job that it has lost changes nothing."""
        before = self._rows(), self._types()
        for act in (*LATE_ACTS, self._succeed):
            with pytest.raises(LeaseLost):
                act(queue, claim)
        assert (self._rows(), self._types()) == before

    @precondition(lambda self: self.of_status("queued", "running", "canceled"))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self._cancel(data.draw(st.sampled_from(self.of_status("queued", "running", "canceled"))))

    @precondition(lambda self: self.of_status("succeeded", "failed"))
    @rule()
    def cancel_what_has_ended(self) -> None:
        for job in self.of_status("succeeded", "failed"):
            with pytest.raises(Conflict):
                jobs.cancel(self.database, LOCAL, job)

    def _succeed(self, queue: Queue, claim: Claim) -> None:
        with self.database.writing() as session:
            queue.finish(session, claim, "succeeded")

    def _cancel(self, job: str) -> None:
        jobs.cancel(self.database, LOCAL, job)
        self.expected[job].cancel()

    def _rows(self) -> dict[str, jobs.Job]:
        return {job.id: job for job in jobs.page(self.database, LOCAL, 1000, None).data}

    def _types(self) -> dict[str, list[str]]:
        types: dict[str, list[str]] = {job: [] for job in self.expected}
        with self.database.reading() as session:
            for job, kind in session.execute(select(EventRow.job_id, EventRow.type).order_by(EventRow.id)):
                types[job].append(kind)
        return types

    @invariant()
    def every_job_is_what_it_should_be(self) -> None:
        rows, types = self._rows(), self._types()
        assert set(rows) == set(self.expected)
        for job, expected in self.expected.items():
            now = rows[job]
            assert (now.status, now.attempt, len(now.losses)) == (expected.status, expected.attempt, expected.losses)
            assert now.done == (now.finished_at is not None) == (expected.status in jobs.FINISHED)
            self._check_events(now, types[job])

    def _check_events(self, job: jobs.Job, types: list[str]) -> None:
        """Its end is told once, and last; so is each start and each loss, and once that it is to be canceled."""
        ends = [kind for kind in types if kind in {"succeeded", "failed", "canceled"}]
        assert ends == ([job.status] if job.done else [])
        assert not ends or types[-1] == job.status
        assert (types.count("started"), types.count("lost")) == (job.attempt, len(job.losses))
        assert types.count("canceling") <= 1


TestJobLifecycle = JobLifecycle.TestCase
TestJobLifecycle.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A failure is told as it was met: to look for a shorter one takes minutes, and 25 steps can be read.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
