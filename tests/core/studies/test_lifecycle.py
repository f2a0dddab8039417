"""From its first job to its last: how a study stands, and what becomes of it."""

import pytest

from app.core import jobs, models
from app.core.database import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.events import study_events_after
from app.core.keys import LOCAL
from app.core.logs import Logs
from app.core.queue import Queue
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.studies import reading
from app.core.studies.planning import PlannedJob
from app.core.studies.submitting import add_jobs
from app.core.tables import JobRow, ModelRow, StudyRow
from tests.core.rows import model_row
from tests.core.studies.finished import (
    INT8,
    PRUNING,
    TRAINING,
    add_material,
    claimed,
    end_in_order,
    result,
    shown,
    started,
    steps,
)

GOOD = result(500, 2.0, 0.98)


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:
    add_material(database)
    return Queue(database, settings, "worker-1")


def types_of(database: Database, study_id: str) -> list[str]:
    with database.reading() as session:
        return [event.type for event in study_events_after(session, study_id, 0, 100)]


def test_it_runs_from_its_first_job_until_its_last_has_ended(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    assert (study.status, study.done) == ("queued", False)
    end_in_order(database, queue, GOOD)
    assert shown(database, study).status == "running"
    end_in_order(database, queue, GOOD)
    over = shown(database, study)
    assert (over.status, over.done) == ("succeeded", True)
    assert over.created_at < over.started_at < over.finished_at
    assert types_of(database, study.id) == [
        "queued", "job_added", "job_added", "started", "job_ended", "job_ended", "succeeded",
    ]  # fmt: skip


def test_failures_are_listed_and_the_rest_is_compared(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    end_in_order(database, queue, None, GOOD)
    over = shown(database, study)
    assert over.status == "succeeded"
    assert [(failure.job, failure.error.code) for failure in over.failures] == [
        (study.points[0].job, "training_diverged")
    ]
    assert over.front == (study.points[1].job,)
    assert over.warnings[0] == "1 of 2 jobs failed, and only the others are compared."


def test_where_nothing_succeeds_it_has_failed(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    end_in_order(database, queue, None, None)
    over = shown(database, study)
    assert (over.status, over.best, over.front) == ("failed", None, ())


def test_canceling_ends_what_waits_at_once_and_what_runs_when_it_has_stopped(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8), steps(TRAINING))
    end_in_order(database, queue, GOOD)
    running = claimed(queue)
    for _ in range(2):
        assert reading.cancel(database, LOCAL, study.id).status == "running"
    assert queue.renew(running)
    queue.cancel(running)
    over = reading.cancel(database, LOCAL, study.id)
    assert over.status == "canceled"
    assert [point.status for point in over.points] == ["succeeded", "canceled", "canceled"]
    assert over.best is not None
    assert types_of(database, study.id).count("canceling") == 1


def test_what_is_over_is_not_canceled(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING))
    end_in_order(database, queue, GOOD)
    with pytest.raises(Conflict, match="nothing to cancel"):
        reading.cancel(database, LOCAL, study.id)


def test_single_jobs_may_be_canceled(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    jobs.cancel(database, LOCAL, study.points[0].job)
    end_in_order(database, queue, GOOD)
    assert shown(database, study).status == "succeeded"
    alone = started(database, steps(PRUNING))
    jobs.cancel(database, LOCAL, alone.points[0].job)
    assert shown(database, alone).status == "canceled"


def test_it_is_deleted_with_its_jobs_once_it_is_over(
    database: Database, queue: Queue, storage: Storage, logs: Logs
) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    end_in_order(database, queue, GOOD)
    with pytest.raises(Conflict) as caught:
        reading.delete(database, storage, logs, LOCAL, study.id)
    assert caught.value.code == "study_running"
    end_in_order(database, queue, GOOD)
    reading.delete(database, storage, logs, LOCAL, study.id)
    with database.reading() as session:
        assert session.query(JobRow).count() == session.query(StudyRow).count() == 0
    assert types_of(database, study.id) == []
    with pytest.raises(NotFound):
        shown(database, study)


def test_a_job_stays_until_its_study_is_over(database: Database, queue: Queue, storage: Storage, logs: Logs) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    end_in_order(database, queue, GOOD)
    with pytest.raises(Conflict) as caught:
        jobs.delete_job(database, storage, logs, LOCAL, study.points[0].job)
    assert caught.value.code == "in_study"
    end_in_order(database, queue, GOOD)
    jobs.delete_job(database, storage, logs, LOCAL, study.points[0].job)
    assert [point.job for point in shown(database, study).points] == [study.points[1].job]


def test_its_model_stays_until_it_is_over(database: Database, queue: Queue, storage: Storage) -> None:
    study = started(database, steps(PRUNING))
    with pytest.raises(Conflict) as caught:
        models.delete(database, storage, LOCAL, "model_1")
    assert (caught.value.code, study.id in caught.value.detail) == ("in_use", True)
    end_in_order(database, queue, GOOD)
    models.delete(database, storage, LOCAL, "model_1")
    assert shown(database, study).model is None


def test_nothing_is_queued_unless_every_recipe_can_work(database: Database, queue: Queue) -> None:
    wrong = steps(INT8, {**PRUNING, "sparsity": [0.2, 0.4]})
    with pytest.raises(Invalid) as caught:
        started(database, steps(PRUNING), wrong, steps(TRAINING))
    assert caught.value.code == "recipe_order"
    assert [error.where for error in caught.value.errors] == ["recipes.1.steps.1"]
    with database.reading() as session:
        assert session.query(JobRow).count() == session.query(StudyRow).count() == 0


def test_a_model_that_is_still_inspected_is_waited_for(database: Database, queue: Queue) -> None:
    with database.writing() as session:
        session.add(model_row("model_2", status="inspecting"))
    started(database, steps(PRUNING), model="model_2")
    assert queue.claim(("compress",)) is None
    with database.writing() as session:
        session.get_one(ModelRow, "model_2").status = "ready"
    claimed(queue)


def test_a_rejected_model_is_refused_as_such(database: Database, queue: Queue) -> None:
    with database.writing() as session:
        session.add(model_row("model_3", status="rejected"))
    with pytest.raises(Invalid) as caught:
        started(database, steps(PRUNING), model="model_3")
    assert (caught.value.code, caught.value.errors) == ("load_failed", ())


def test_an_open_study_goes_on_until_it_is_closed(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING))
    with database.writing() as session:
        session.get_one(StudyRow, study.id).open = True
    end_in_order(database, queue, GOOD)
    assert shown(database, study).status == "running"
    with database.writing() as session:
        row = session.get_one(StudyRow, study.id)
        recipe = study.request.recipes[0].points[0]
        add_jobs(session, LOCAL, row, study.request, [PlannedJob(recipe=recipe, seed=7)])
        row.open = False
    end_in_order(database, queue, GOOD)
    over = shown(database, study)
    assert (over.status, [point.seed for point in over.points]) == ("succeeded", [0, 7])
