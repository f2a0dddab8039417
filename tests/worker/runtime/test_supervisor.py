"""How a job ends is written as it was: with a runner that does what a test tells it, and all else real."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.core import jobs
from app.core.database import Database
from app.core.errors import Busy, Invalid
from app.core.keys import LOCAL
from app.core.queue import Queue
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.tables import JobRow
from worker.failures import Canceled, WorkerLost
from worker.hold import Hold
from worker.supervisor import Supervisor

Act = Callable[[Hold], Any]


class Runner:
    """Plays one act for each attempt; after the last one the worker is asked to end."""

    def __init__(self, storage: Storage, acts: list[Act]) -> None:
        self.storage, self._acts = storage, acts

    def run(self, hold: Hold) -> None:
        act = self._acts.pop(0)
        try:
            act(hold)
        finally:
            if not self._acts:
                os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, heartbeat_seconds=0.02, poll_seconds=0.01, retry_seconds=0.01)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def ends(settings: Settings, database: Database) -> Iterator[Callable[..., jobs.Job]]:
    """Runs one job through the given acts and shows it as it is when the worker has ended."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    queue = Queue(database, settings, "worker-1")

    def play(*acts: Act) -> jobs.Job:
        with database.writing() as session:
            job = jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None)).id
        runner: Any = Runner(Storage(settings.files_dir), list(acts))
        Supervisor(settings, database, queue, runner, "worker-1").run()
        return jobs.get(database, LOCAL, job)

    yield play
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(problem: Exception) -> Act:
    def act(_hold: Hold) -> None:
        raise problem

    return act


def until_stopped(hold: Hold) -> None:
    assert hold.stop.wait(5)
    raise Canceled("ended")


def test_a_problem_fails_the_job_with_its_own_words(ends: Callable[..., jobs.Job]) -> None:
    job = ends(raising(Invalid("The weights are missing.", code="weights_do_not_fit")))
    assert (job.status, job.error and job.error.code) == ("failed", "weights_do_not_fit")


@pytest.mark.parametrize("fault", [WorkerLost("killed from outside"), Busy("the database is busy")])
def test_what_may_pass_is_tried_again(ends: Callable[..., jobs.Job], fault: Exception) -> None:
    job = ends(raising(fault), raising(Invalid("no", code="second_try")))
    assert (job.attempt, job.losses, job.error and job.error.code) == (2, (str(fault),), "second_try")


def test_a_fault_of_the_service_is_told_without_its_text(ends: Callable[..., jobs.Job]) -> None:
    job = ends(raising(ValueError("secret")))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "internal_error"
    assert "secret" not in job.error.detail


def test_a_job_goes_back_when_the_worker_is_asked_to_end(ends: Callable[..., jobs.Job]) -> None:
    def asked_to_end(hold: Hold) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        until_stopped(hold)

    job = ends(asked_to_end)
    assert (job.status, job.losses) == ("queued", ())


def test_a_canceled_job_is_canceled_once_its_work_has_stopped(
    ends: Callable[..., jobs.Job], database: Database
) -> None:
    def canceled(hold: Hold) -> None:
        assert jobs.cancel(database, LOCAL, hold.claim.job).status == "running"
        until_stopped(hold)

    assert ends(canceled).status == "canceled"


def test_a_job_that_another_worker_holds_is_left_alone(ends: Callable[..., jobs.Job], database: Database) -> None:
    def overtaken(hold: Hold) -> None:
        with database.writing() as session:
            session.execute(update(JobRow).values(attempt=7, worker="other"))
        until_stopped(hold)

    job = ends(overtaken)
    assert (job.status, job.attempt) == ("running", 7)


def test_a_word_about_a_job_that_cannot_be_written_does_not_fail_it(
    ends: Callable[..., jobs.Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise Busy("the database is busy")

    def talkative(hold: Hold) -> None:
        monkeypatch.setattr(Queue, "report", busy)
        monkeypatch.setattr(Queue, "warn", busy)
        hold.report(0.5, None, "half")
        hold.warn("careful")
        raise Invalid("the end", code="reached")

    job = ends(talkative)
    assert job.error is not None
    assert job.error.code == "reached"
