"""A job's life as a state machine: whatever callers and workers do, in whatever order, its promises hold."""

import tempfile
import time
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.core import jobs
from app.core.database import Database
from app.core.errors import Conflict, Invalid
from app.core.events import events_after
from app.core.keys import LOCAL
from app.core.queue import Claim, LeaseLost, Queue
from app.core.settings import Settings

LEGAL = {
    "queued": {"queued", "running", "canceled"},
    "running": {"running", "queued", "succeeded", "failed", "canceled"},
    "succeeded": {"succeeded"},
    "failed": {"failed"},
    "canceled": {"canceled"},
}


class JobLifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        chosen = Settings(data_dir=Path(self.folder.name), retry_seconds=1e-9)
        self.database = Database(chosen.url)
        self.database.migrate()
        self.workers = [Queue(self.database, chosen, name) for name in ("a", "b")]
        self.claims: list[tuple[Queue, Claim]] = []
        self.to_be_canceled: set[str] = set()
        self.attempts: set[tuple[str, int]] = set()
        self.seen: dict[str, str] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule()
    def submit(self) -> None:
        with self.database.writing() as session:
            self.seen[jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None)).id] = "queued"

    @rule(worker=st.integers(0, 1))
    def claim(self, worker: int) -> None:
        claim = self.workers[worker].claim(("compress",))
        if claim is not None:
            assert claim.job not in self.to_be_canceled
            assert (claim.job, claim.attempt) not in self.attempts
            self.attempts.add((claim.job, claim.attempt))
            self.claims.append((self.workers[worker], claim))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.seen)))
        finished = self._row(job).status in {"succeeded", "failed"}
        try:
            jobs.cancel(self.database, LOCAL, job)
            assert not finished
            self.to_be_canceled.add(job)
        except Conflict:
            assert finished

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), act=st.sampled_from(["renew", "report", "succeed", "fail", "give_back", "lose", "cancel"]))
    def work(self, data: st.DataObject, act: str) -> None:
        """Also with claims that are long lost: those must change nothing."""
        queue, claim = data.draw(st.sampled_from(self.claims))
        before = self._row(claim.job)
        holds = before.status == "running" and before.attempt == claim.attempt
        try:
            self._act(queue, claim, act)
            assert holds
        except LeaseLost:
            assert not holds
            assert self._row(claim.job) == before

    @precondition(lambda self: self.claims)
    @rule()
    def lose_every_lease(self) -> None:
        from sqlalchemy import update

        from app.core.tables import JobRow

        with self.database.writing() as session:
            session.execute(update(JobRow).where(JobRow.status == "running").values(lease_until=time.time() - 1))
        self.workers[0].recover()

    def _act(self, queue: Queue, claim: Claim, act: str) -> None:
        if act == "renew":
            queue.renew(claim)
        elif act == "report":
            queue.report(claim, 0.5, None, "half")
        elif act == "succeed":
            with self.database.writing() as session:
                queue.finish(session, claim, "succeeded")
        elif act == "fail":
            queue.fail(claim, Invalid("no"))
        elif act == "give_back":
            queue.give_back(claim)
        elif act == "lose":
            queue.lose(claim, "killed")
        else:
            queue.cancel(claim)

    def _row(self, job: str) -> jobs.Job:
        return jobs.get(self.database, LOCAL, job)

    @invariant()
    def every_job_moves_along_legal_arrows(self) -> None:
        for job, before in self.seen.items():
            now = self._row(job)
            assert now.status in LEGAL[before]
            self._check_end(job, now.status)
            assert now.done == (now.finished_at is not None)
            assert len(now.losses) <= 3
            self.seen[job] = now.status

    def _check_end(self, job: str, status: str) -> None:
        """It is told once, and last."""
        with self.database.reading() as session:
            types = [event.type for event in events_after(session, job, 0, 1000)]
        ends = [kind for kind in types if kind in {"succeeded", "failed", "canceled"}]
        assert ends == ([status] if status in jobs.FINISHED else [])
        assert not ends or types[-1] == status


TestJobLifecycle = JobLifecycle.TestCase
TestJobLifecycle.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
