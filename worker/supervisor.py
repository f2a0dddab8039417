"""Claims jobs, runs each in children of its own, publishes what they made. Never imports torch.

One thread is one slot. Jobs that compress or measure sensitivity have `slots` of them; inspections have some of their
own, so that an upload is looked at while a long job runs, or while another upload takes long.
"""

import signal
import threading
import time
from collections.abc import Collection
from types import FrameType

import structlog

from app.core import checkpoints, workers
from app.core.database import Database
from app.core.errors import Problem
from app.core.queue import Claim, LeaseLost, Queue
from app.core.sandbox import SandboxReport
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.sweeper import sweep
from worker.failures import Canceled
from worker.hold import Hold
from worker.phases import JobRunner
from worker.studies import advance, advance_open

log = structlog.get_logger()

SWEEP_SECONDS = 600.0


class Supervisor:
    def __init__(self, settings: Settings, database: Database, queue: Queue, runner: JobRunner, worker: str) -> None:
        self._settings = settings
        self._database = database
        self._queue = queue
        self._runner = runner
        self._worker = worker
        self._ending = threading.Event()
        self._holds: set[Hold] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Works until SIGTERM or SIGINT; running jobs then go back to the queue."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        slots = [
            *(self._slot(("inspect",)) for _ in range(self._settings.inspect_slots)),
            *(self._slot(("compress", "sensitivity", "gate")) for _ in range(self._settings.slots)),
        ]
        for slot in slots:
            slot.start()
        self._keep_house()
        for slot in slots:
            slot.join()
        workers.sign_off(self._database, self._worker)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._ending.set()

    def _slot(self, kinds: Collection[str]) -> threading.Thread:
        return threading.Thread(target=self._work_through, args=(kinds,), name=f"slot for {', '.join(kinds)}")

    def _work_through(self, kinds: Collection[str]) -> None:
        while not self._ending.is_set():
            claim = self._claim(kinds)
            if claim is None:
                self._ending.wait(self._settings.poll_seconds)
            else:
                self._work(claim)

    def _claim(self, kinds: Collection[str]) -> Claim | None:
        try:
            return self._queue.claim(kinds)
        except Problem as problem:
            log.warning("no job claimed", problem=problem.detail)
            return None

    def _work(self, claim: Claim) -> None:
        log.info("job started", job=claim.job, kind=claim.kind, attempt=claim.attempt)
        hold = Hold(self._queue, claim, self._settings.heartbeat_seconds, self._settings.lease_seconds)
        with self._lock:
            self._holds.add(hold)
        if self._ending.is_set():
            hold.let_go("shutting down")
        try:
            with hold.renewing():
                self._settle(hold)
        except LeaseLost:
            log.warning("job lost to another worker", job=claim.job, attempt=claim.attempt)
        except Problem as problem:
            # The job's end could not be written; its lease will run out and another attempt is made.
            log.error("job not settled", job=claim.job, problem=problem.detail)
        finally:
            with self._lock:
                self._holds.discard(hold)

    def _settle(self, hold: Hold) -> None:
        """Runs the job and writes how it ended."""
        claim = hold.claim
        try:
            self._runner.run(hold)
        except Canceled:
            if hold.reason == "canceled":
                self._queue.cancel(claim)
            elif hold.reason == "hopeless":
                self._queue.stop_early(claim, hold.why)
            elif hold.reason == "shutting down":
                self._queue.give_back(claim)
        except Problem as problem:
            if problem.retry:
                self._queue.lose(claim, problem.detail)
            else:
                self._queue.fail(claim, problem)
        except LeaseLost:
            raise
        except Exception:
            log.exception("job failed inside the service", job=claim.job)
            detail = f"The service itself failed on {claim.job}; the worker's log has the cause. Nothing was published."
            self._queue.fail(claim, Problem(detail))
        if self._queue.is_over(claim):
            checkpoints.forget(self._runner.storage, claim.job)
            if claim.study is not None:
                advance(self._database, self._runner.storage, claim.study, self._settings.slots)
        log.info("job ended", job=claim.job, attempt=claim.attempt)

    def _keep_house(self) -> None:
        """Signs of life, jobs whose worker was lost, and now and then what a crash left on the disk."""
        swept_at = float("-inf")
        while not self._ending.wait(self._settings.heartbeat_seconds):
            try:
                workers.sign_of_life(self._database, self._worker)
                self._queue.recover()
                advance_open(self._database, self._runner.storage, self._settings.slots)
                if time.monotonic() - swept_at > SWEEP_SECONDS:
                    swept_at = time.monotonic()
                    sweep(self._database, self._runner.storage, self._settings)
            except Problem as problem:
                log.warning("housekeeping put off", problem=problem.detail)
        with self._lock:
            for hold in self._holds:
                hold.let_go("shutting down")


def supervise(settings: Settings, database: Database, worker: str, tested: SandboxReport) -> None:
    """Works under the name `worker`. Where the sandbox doesn't hold, no upload's own code is run."""
    queue = Queue(database, settings, worker)
    runner = JobRunner(settings, database, Storage(settings.files_dir), queue, may_run_own_code=tested.ok)
    workers.sign_on(database, worker, tested)
    Supervisor(settings, database, queue, runner, worker).run()
