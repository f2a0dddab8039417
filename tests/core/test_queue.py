import time
from collections.abc import Callable

import pytest

from app.core import jobs
from app.core.database import Database
from app.core.errors import Invalid
from app.core.events import events_after
from app.core.keys import LOCAL
from app.core.queue import Claim, LeaseLost, Queue
from app.core.settings import Settings
from app.core.tables import JobRow
from tests.core.rows import dataset_row, model_row

KINDS = ("inspect", "compress")


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:
    return Queue(database, settings, "worker-1")


def add_job(database: Database, kind: str = "compress", model: str | None = None) -> str:
    with database.writing() as session:
        row = jobs.new_row("local", kind, {}, session.get(model_row().__class__, model) if model else None, None)
        return jobs.queue_row(session, row).id


def claimed(queue: Queue) -> Claim:
    claim = queue.claim(KINDS)
    assert claim is not None
    return claim


def types_of(database: Database, job: str) -> list[str]:
    with database.reading() as session:
        return [event.type for event in events_after(session, job, 0, 100)]


def test_the_oldest_job_comes_first_and_only_once(database: Database, queue: Queue) -> None:
    first, second = add_job(database), add_job(database)
    assert [claimed(queue).job, claimed(queue).job] == sorted([first, second])
    assert queue.claim(KINDS) is None


def test_only_the_wanted_kinds_are_claimed(database: Database, queue: Queue) -> None:
    add_job(database, "compress")
    assert queue.claim(("inspect",)) is None


def test_a_job_waits_until_its_model_is_inspected(database: Database, queue: Queue) -> None:
    with database.writing() as session:
        session.add(model_row(status="inspecting"))
    job = add_job(database, "compress", "model_1")
    assert queue.claim(KINDS) is None
    with database.writing() as session:
        session.get(model_row().__class__, "model_1").status = "ready"
    assert claimed(queue).job == job


def test_a_worker_that_lost_its_lease_can_change_nothing(database: Database, settings: Settings) -> None:
    job = add_job(database)
    frozen = Queue(database, Settings(data_dir=settings.data_dir, lease_seconds=0.01), "frozen")
    other = Queue(database, settings, "other")
    old = claimed(frozen)
    time.sleep(0.02)
    assert other.recover() == 1
    time.sleep(0.01)
    new = claimed(other)
    assert new.attempt == old.attempt + 1
    for write in (
        lambda: frozen.renew(old),
        lambda: frozen.report(old, 0.5, None, "x"),
        lambda: frozen.fail(old, Invalid("no")),
        lambda: frozen.give_back(old),
        lambda: frozen.lose(old, "x"),
        lambda: frozen.cancel(old),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert jobs.get(database, LOCAL, job).status == "running"


def test_a_lost_job_is_tried_three_times_and_its_causes_are_kept(database: Database, queue: Queue) -> None:
    job = add_job(database)
    for number in range(3):
        time.sleep(0.01)
        queue.lose(claimed(queue), f"cause {number}")
    assert queue.claim(KINDS) is None
    shown = jobs.get(database, LOCAL, job)
    assert shown.status == "failed"
    assert shown.error is not None
    assert shown.error.code == "worker_lost"
    assert shown.losses == ("cause 0", "cause 1", "cause 2")


def test_a_lost_job_waits_before_its_next_try(database: Database, settings: Settings) -> None:
    patient = Queue(database, Settings(data_dir=settings.data_dir, retry_seconds=60), "patient")
    add_job(database)
    patient.lose(claimed(patient), "cause")
    assert patient.claim(KINDS) is None


def test_a_job_given_back_is_claimed_again_at_once_and_keeps_its_tries(database: Database, queue: Queue) -> None:
    job = add_job(database)
    for _ in range(5):
        queue.give_back(claimed(queue))
    assert claimed(queue).job == job
    assert jobs.get(database, LOCAL, job).losses == ()


def test_a_problem_ends_the_job_without_another_try(database: Database, queue: Queue) -> None:
    job = add_job(database)
    queue.fail(claimed(queue), Invalid("The file is no good.", code="load_failed", step=1))
    shown = jobs.get(database, LOCAL, job)
    assert (shown.status, shown.error and shown.error.code) == ("failed", "load_failed")
    assert queue.claim(KINDS) is None


def test_a_failed_inspection_rejects_its_model(database: Database, queue: Queue) -> None:
    with database.writing() as session:
        session.add(model_row(status="inspecting"))
    add_job(database, "inspect", "model_1")
    queue.fail(claimed(queue), Invalid("It does not load.", code="load_failed"))
    with database.reading() as session:
        row = session.get(model_row().__class__, "model_1")
        assert (row.status, row.problem["code"]) == ("rejected", "load_failed")


def cancel_while_queued(database: Database, _queue: Queue, job: str) -> None:
    jobs.cancel(database, LOCAL, job)


def cancel_while_running(database: Database, queue: Queue, job: str) -> None:
    claim = claimed(queue)
    jobs.cancel(database, LOCAL, job)
    queue.cancel(claim)


def cancel_and_give_back(database: Database, queue: Queue, job: str) -> None:
    claim = claimed(queue)
    jobs.cancel(database, LOCAL, job)
    queue.give_back(claim)


def cancel_and_lose(database: Database, queue: Queue, job: str) -> None:
    claim = claimed(queue)
    jobs.cancel(database, LOCAL, job)
    queue.lose(claim, "killed")


@pytest.mark.parametrize("end", [cancel_while_queued, cancel_while_running, cancel_and_give_back, cancel_and_lose])
@pytest.mark.parametrize("of", ["model", "dataset"])
def test_what_a_canceled_inspection_was_about_is_rejected_and_keeps_no_job_waiting(
    database: Database, queue: Queue, of: str, end: Callable[[Database, Queue, str], None]
) -> None:
    with database.writing() as session:
        rows = {"model": model_row(), "dataset": dataset_row()}
        session.add_all(rows.values())
        rows[of].status = "inspecting"
        session.flush()
        about = {"model": None, "dataset": None} | {of: rows[of]}
        inspection = jobs.queue_row(session, jobs.new_row("local", "inspect", {}, **about)).id
        waiting = jobs.queue_row(session, jobs.new_row("local", "compress", {}, **rows)).id
    end(database, queue, inspection)
    with database.reading() as session:
        row = session.get(type(rows[of]), rows[of].id)
        assert (row.status, row.problem["code"]) == ("rejected", "inspection_canceled")
    assert claimed(queue).job == waiting


def test_cancel_is_told_to_the_worker_and_true_only_when_it_says_so(database: Database, queue: Queue) -> None:
    job = add_job(database)
    claim = claimed(queue)
    assert queue.renew(claim) is False
    for _ in range(2):
        assert jobs.cancel(database, LOCAL, job).status == "running"
    assert queue.renew(claim) is True
    queue.cancel(claim)
    assert jobs.cancel(database, LOCAL, job).status == "canceled"
    assert types_of(database, job) == ["queued", "started", "canceling", "canceled"]


def test_a_job_that_was_to_be_canceled_is_not_tried_again_when_its_worker_is_lost(
    database: Database, queue: Queue
) -> None:
    job = add_job(database)
    claim = claimed(queue)
    jobs.cancel(database, LOCAL, job)
    queue.lose(claim, "killed")
    assert jobs.get(database, LOCAL, job).status == "canceled"


def test_events_are_kept_in_order_and_can_be_resumed(database: Database, queue: Queue) -> None:
    job = add_job(database)
    claim = claimed(queue)
    queue.report(claim, 0.5, 0, "half")
    queue.warn(claim, "careful")
    queue.fail(claim, Invalid("no"))
    with database.reading() as session:
        events = events_after(session, job, 0, 100)
        rest = events_after(session, job, events[2].id, 100)
    assert [event.type for event in events] == ["queued", "started", "progress", "warning", "failed"]
    assert [event.type for event in rest] == ["warning", "failed"]


def test_a_deleted_job_takes_its_events_along(database: Database, queue: Queue, storage, logs) -> None:
    job = add_job(database)
    queue.fail(claimed(queue), Invalid("no"))
    jobs.delete_job(database, storage, logs, LOCAL, job)
    with database.reading() as session:
        assert session.get(JobRow, job) is None
        assert events_after(session, job, 0, 10) == []
