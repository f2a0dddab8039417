"""Jobs of a study that begin alike: one goes first, the others wait for what it leaves."""

import pytest

from app.core import jobs
from app.core.database import Database
from app.core.errors import Invalid
from app.core.keys import LOCAL
from app.core.queue import Queue
from app.core.settings import Settings
from tests.core.studies.finished import INT8, PRUNING, TRAINING, add_material, claimed, result, started, steps

MORE = {**PRUNING, "sparsity": 0.9}


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:
    add_material(database)
    return Queue(database, settings, "worker-1")


def claimed_jobs(queue: Queue) -> list[str]:
    """All that may run beside each other now."""
    found = []
    while (claim := queue.claim(("compress",))) is not None:
        found.append(claim.job)
    return found


def test_a_job_waits_until_the_steps_that_it_shares_are_done(database: Database, queue: Queue) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE), steps(PRUNING))
    first, second, other = (point.job for point in study.points)
    leader = claimed(queue)
    assert leader.job == first
    assert claimed_jobs(queue) == [other]
    queue.pass_on(leader, 1)
    assert claimed_jobs(queue) == [second]


def test_who_shares_more_waits_longer(database: Database, queue: Queue) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, PRUNING, INT8), steps(TRAINING, INT8))
    _, whole, half = (point.job for point in study.points)
    leader = claimed(queue)
    queue.pass_on(leader, 1)
    assert claimed_jobs(queue) == [half]
    queue.pass_on(leader, 2)
    assert claimed_jobs(queue) == [whole]


def test_what_cannot_be_kept_holds_nobody_up(database: Database, queue: Queue) -> None:
    """A network that keeps its forward has no checkpoint; the next step's progress tells that it is past the first."""
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE))
    leader = claimed(queue)
    queue.report(leader, 0.1, 0, "training")
    assert claimed_jobs(queue) == []
    queue.report(leader, 0.5, 1, "pruning")
    assert claimed_jobs(queue) == [study.points[1].job]


def test_a_job_that_goes_on_from_a_checkpoint_holds_nobody_up_who_shares_no_more(
    database: Database, queue: Queue
) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE))
    queue.resume(claimed(queue), 1, 2)
    assert claimed_jobs(queue) == [study.points[1].job]


@pytest.mark.parametrize("recipe", [steps(INT8), {"preset": "fast"}])
def test_quantized_networks_are_not_waited_for(database: Database, queue: Queue, recipe: dict) -> None:
    started(database, recipe, seeds=[0, 1])
    started(database, recipe, steps(INT8, {"technique": "weight_quantization"}))
    assert len(claimed_jobs(queue)) == 4


def test_seeds_share_nothing(database: Database, queue: Queue) -> None:
    started(database, steps(TRAINING), steps(TRAINING, INT8), seeds=[0, 1])
    assert len(claimed_jobs(queue)) == 2


def test_other_studies_share_nothing(database: Database, queue: Queue) -> None:
    for _ in range(2):
        started(database, steps(TRAINING))
    assert len(claimed_jobs(queue)) == 2


@pytest.mark.parametrize("way", ["fails", "is canceled", "succeeds", "is lost too often"])
def test_when_the_first_ends_without_a_word_the_next_one_goes_first(
    database: Database, queue: Queue, settings: Settings, way: str
) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE), steps(TRAINING, INT8))
    first, second, third = (point.job for point in study.points)
    leader = claimed(queue)
    assert leader.job == first
    if way == "fails":
        queue.fail(leader, Invalid("no"))
    elif way == "is canceled":
        queue.cancel(leader)
    elif way == "succeeds":
        with database.writing() as session:
            queue.finish(session, leader, "succeeded", result=result(1, 1, 1).model_dump(mode="json"))
    else:
        Queue(database, settings.model_copy(update={"max_attempts": 1}), "worker-1").lose(leader, "killed")
    assert claimed_jobs(queue) == [second]
    jobs.cancel(database, LOCAL, third)


def test_a_first_one_that_is_canceled_in_the_queue_is_not_waited_for(database: Database, queue: Queue) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE), steps(TRAINING, INT8))
    jobs.cancel(database, LOCAL, study.points[0].job)
    assert claimed_jobs(queue) == [study.points[1].job]


def test_a_lost_first_one_is_waited_for_until_it_is_tried_again(
    database: Database, queue: Queue, settings: Settings
) -> None:
    study = started(database, steps(TRAINING, PRUNING), steps(TRAINING, MORE))
    patient = Queue(database, settings.model_copy(update={"retry_seconds": 60}), "worker-1")
    patient.lose(claimed(queue), "killed")
    assert claimed_jobs(queue) == []
    assert jobs.get(database, LOCAL, study.points[0].job).status == "queued"


def test_a_job_is_told_after_which_steps_others_go_on(database: Database, queue: Queue) -> None:
    started(database, steps(TRAINING, PRUNING, MORE), steps(TRAINING, PRUNING, INT8), steps(TRAINING, MORE))
    assert queue.shared_steps(claimed(queue)) == {1, 2}
