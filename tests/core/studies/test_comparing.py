"""What a study makes of its jobs' results."""

import pytest

from app.core.database import Database
from app.core.measurements import StepResult
from app.core.queue import Queue
from app.core.settings import Settings
from app.core.studies.schemas import Study
from tests.core.studies.finished import (
    INT8,
    PRUNING,
    TRAINING,
    add_material,
    end_in_order,
    measurement,
    result,
    shown,
    started,
    steps,
)

RECIPES = (steps(PRUNING), steps(INT8), steps(TRAINING), {"preset": "small"})


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:
    add_material(database)
    return Queue(database, settings, "worker-1")


def compared(database: Database, queue: Queue, *results, **more) -> Study:
    study = started(database, *RECIPES[: len(results)], **more)
    end_in_order(database, queue, *results)
    return shown(database, study)


def job(study: Study, position: int) -> str:
    return study.points[position].job


def test_points_have_the_figures_of_the_best_file(database: Database, queue: Queue) -> None:
    (point,) = compared(database, queue, result(400, 2.0, 0.97)).points
    assert (point.size_bytes, point.latency_ms, point.macs, point.quality, point.speedup) == (400, 1.0, 4000, 0.97, 2.0)
    assert point.quality_change == pytest.approx(-0.01)


def test_the_front_is_what_no_other_beats_in_everything(database: Database, queue: Queue) -> None:
    study = compared(
        database, queue, result(400, 2.0, 0.97), result(300, 1.5, 0.97), result(450, 1.9, 0.96), result(500, 1.0, 0.98)
    )
    assert study.front == (job(study, 0), job(study, 1), job(study, 3))
    assert [point.on_front for point in study.points] == [True, True, False, True]


def test_equals_share_the_front(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(400, 2.0, 0.97), result(400, 2.0, 0.97))
    assert len(study.front) == 2


def test_jobs_are_compared_by_speedup_whatever_the_machine_did_meanwhile(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(400, 3.0, 0.98, noise=4.0), result(400, 2.0, 0.98))
    assert study.points[0].latency_ms > study.points[1].latency_ms
    assert study.best is not None
    assert study.best.job == job(study, 0)
    assert study.front == (job(study, 0),)


def test_the_best_is_the_fastest_that_keeps_its_quality(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(400, 9.0, 0.90), result(500, 2.0, 0.975), result(300, 1.5, 0.98))
    assert study.best is not None
    assert (study.best.job, study.best.met_budget) == (job(study, 1), "measured")
    assert study.best.why.startswith(
        "Static quantization is the fastest of the 2 recipes that lose at most 1 point of accuracy against the upload: "
        "1.00 kB → 500 B, 2.00× as fast, accuracy 98.0 % → 97.5 %."
    )


def test_or_the_smallest_where_that_is_asked_for(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(500, 2.0, 0.975), result(300, 1.5, 0.98), minimize="size")
    assert study.best is not None
    assert study.best.job == job(study, 1)


def test_where_none_keeps_its_quality_the_nearest_is_named_and_what_to_do(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(400, 9.0, 0.5), result(500, 2.0, 0.9))
    assert study.best is not None
    assert (study.best.job, study.best.met_budget) == (job(study, 1), "no")
    assert "No recipe loses at most 1 point" in study.best.why
    assert "Remove less" in study.best.why


def test_errors_are_better_when_they_are_smaller(database: Database, queue: Queue) -> None:
    errors = {"metric": "mean_squared_error", "before": 1.0}
    study = compared(database, queue, result(400, 2.0, 1.04, **errors), result(300, 3.0, 1.2, **errors))
    assert study.best is not None
    assert (study.best.job, study.best.met_budget) == (job(study, 0), "measured")
    better = compared(database, queue, result(400, 2.0, 0.9, **errors), result(400, 2.0, 1.0, **errors))
    assert better.front == (job(better, 0),)


def test_without_a_quality_no_budget_is_met(database: Database, queue: Queue) -> None:
    study = compared(database, queue, result(400, 2.0, None), result(300, 3.0, None))
    assert study.best is not None
    assert (study.best.job, study.best.met_budget) == (job(study, 1), "no")


def test_a_control_is_never_the_best_but_it_is_said_when_it_is_as_good(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), controls=True)
    assert [point.control for point in study.points] == [False, True, True]
    end_in_order(database, queue, result(400, 2.0, 0.97), result(400, 3.0, 0.98), result(400, 1.0, 0.90))
    over = shown(database, study)
    assert over.best is not None
    assert over.best.job == job(over, 0)
    assert over.front == (job(over, 1),)
    assert over.warnings == (
        "A control is on the front: magnitude pruning (sparsity 0.5, criterion random). What removes as much with more "
        "thought is not better in everything there, or only by chance: look at the charts, and run more seeds.",
    )


def test_seeds_give_a_mean_and_a_spread(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8), seeds=[0, 1])
    end_in_order(
        database,
        queue,
        *(result(400, 4.0, 0.990), result(400, 4.0, 0.960)),
        *(result(400, 4.0, 0.974), result(400, 4.0, 0.978)),
    )
    over = shown(database, study)
    qualities = [group.quality for group in over.groups]
    assert [quality and quality.mean for quality in qualities] == pytest.approx([0.975, 0.976])
    assert qualities[0] is not None
    assert qualities[0].standard_deviation == pytest.approx(0.0212132)
    assert over.front == (job(over, 2), job(over, 3))
    one = started(database, steps(PRUNING))
    end_in_order(database, queue, result(400, 4.0, 0.99))
    (group,) = shown(database, one).groups
    assert group.quality is not None
    assert group.quality.standard_deviation is None


def test_the_best_seed_is_not_picked_by_the_test_data(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), seeds=[5, 6])
    end_in_order(database, queue, result(400, 4.0, 0.97), result(400, 5.0, 0.98))
    over = shown(database, study)
    assert over.best is not None
    assert over.best.job == job(over, 0)


def test_a_study_that_runs_shows_what_it_has(database: Database, queue: Queue) -> None:
    study = started(database, steps(PRUNING), steps(INT8))
    assert shown(database, study).best is None
    end_in_order(database, queue, result(400, 2.0, 0.98))
    now = shown(database, study)
    assert (now.status, now.best and now.best.job, now.front) == ("running", job(now, 0), (job(now, 0),))
    assert now.points[1].size_bytes is None


def test_what_was_shared_is_counted(database: Database, queue: Queue) -> None:
    after = measurement(1, 1, 1)
    own = StepResult(technique="fine_tuning", seconds=30, after=after)
    shared = own.model_copy(update={"run_by": "job_1"})
    study = compared(
        database, queue, result(4, 1, 1, steps_run=(own, own)), result(4, 1, 1, steps_run=(shared, shared, own))
    )
    assert study.saved.model_dump() == {"steps_run": 3, "steps_shared": 2, "seconds_saved": 60}
