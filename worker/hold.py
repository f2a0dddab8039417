"""A job in this worker's hands: its lease is renewed in the background, and `stop` says when to let go."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import structlog

from app.core.errors import Problem
from app.core.messages import EpochEnded
from app.core.queue import Claim, LeaseLost, Queue

log = structlog.get_logger()

Reason = Literal["canceled", "hopeless", "lease lost", "shutting down"]
SECONDS_BETWEEN_REPORTS = 0.25
EPOCHS_WITHOUT_PAUSE = 100


class Hold:
    """`stop` is set, and `reason` with it, when the job was canceled, given up as hopeless (then `why` says so), its
    lease was lost, or the worker ends."""

    def __init__(self, queue: Queue, claim: Claim, heartbeat_seconds: float, lease_seconds: float) -> None:
        self.claim = claim
        self.stop = threading.Event()
        self.reason: Reason | None = None
        self.why = ""
        self._queue = queue
        self._heartbeat_seconds = heartbeat_seconds
        self._lease_seconds = lease_seconds
        self._reported_at = 0.0
        self._epoch_reported_at = 0.0
        self._epochs_reported = 0

    @contextmanager
    def renewing(self) -> Iterator[None]:
        thread = threading.Thread(target=self._renew, name=f"lease of {self.claim.job}", daemon=True)
        done = self._done = threading.Event()
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def let_go(self, reason: Reason) -> None:
        self.reason = self.reason or reason
        self.stop.set()

    def give_up(self, why: str) -> None:
        self.why = why
        self.let_go("hopeless")

    def report(self, fraction: float, step: int | None, message: str) -> None:
        """Progress for the job's readers, no more often than they can use."""
        now = time.monotonic()
        if now - self._reported_at >= SECONDS_BETWEEN_REPORTS:
            self._reported_at = now
            with _best_effort():
                self._queue.report(self.claim, fraction, step, message)

    def resume(self, steps_done: int, steps: int) -> None:
        with _best_effort():
            self._queue.resume(self.claim, steps_done, steps)

    def pass_on(self, steps_done: int) -> None:
        """To jobs of the study that begin with the same steps."""
        if self.claim.study is not None:
            with _best_effort():
                self._queue.pass_on(self.claim, steps_done)

    def warn(self, message: str) -> None:
        with _best_effort():
            self._queue.warn(self.claim, message)

    def report_epoch(self, ended: EpochEnded) -> None:
        """A short training whole; of a long one that is in haste a few epochs each second. The result has them all."""
        now = time.monotonic()
        if self._epochs_reported < EPOCHS_WITHOUT_PAUSE or now - self._epoch_reported_at >= SECONDS_BETWEEN_REPORTS:
            self._epochs_reported += 1
            self._epoch_reported_at = now
            with _best_effort():
                self._queue.report_epoch(self.claim, ended)

    def _renew(self) -> None:
        renewed_at = time.monotonic()
        while not self._done.wait(self._heartbeat_seconds) and not self.stop.is_set():
            try:
                if self._queue.renew(self.claim):
                    self.let_go("canceled")
                renewed_at = time.monotonic()
            except LeaseLost:
                self.let_go("lease lost")
            except Problem as problem:
                log.warning("lease not renewed", job=self.claim.job, problem=problem.detail)
                if time.monotonic() - renewed_at > self._lease_seconds:
                    self.let_go("lease lost")


@contextmanager
def _best_effort() -> Iterator[None]:
    """A job doesn't fail because a word about it could not be written."""
    try:
        yield
    except Problem as problem:
        log.warning("progress not written", problem=problem.detail)
