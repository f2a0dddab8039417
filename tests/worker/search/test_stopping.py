"""A trial in training is stopped where it stands lower than all that kept to the budget stood at the same place."""

import pytest

from app.core.database import Database
from app.core.keys import LOCAL
from app.core.measurements import Epoch, Metric, Result, StepResult
from app.core.messages import EpochEnded
from app.core.queue import Claim, Queue
from app.core.recipes.recipe import Recipe
from app.core.settings import Settings
from app.core.studies.planning import PlannedJob
from app.core.studies.requests import StudyRequest
from app.core.studies.submitting import add_jobs, run_options, submit_study
from app.core.tables import StudyRow
from tests.core.conftest import database, settings, storage  # noqa: F401
from tests.core.studies.finished import INT8, add_material, claimed, measurement, result
from worker.search.stopping import FEWEST_KEPT, Hopeless, hopeless

EPOCHS = 6
RECIPE = [{"technique": "magnitude_pruning"}, {"technique": "fine_tuning", "epochs": EPOCHS}, INT8]


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:  # noqa: F811
    add_material(database)
    return Queue(database, settings, "worker-1")


def epoch(number: int, quality: float | None, metric: Metric = "accuracy") -> Epoch:
    return Epoch(
        epoch=number, epochs=EPOCHS, loss=1, learning_rate=1, seconds=1, metric=metric, validation_quality=quality
    )


def trained(quality: float, curve: list[float], metric: Metric = "accuracy", before: float = 0.98) -> Result:
    epochs = tuple(epoch(number, value, metric) for number, value in enumerate(curve, start=1))
    after = measurement(500, 1.0, quality, metric)
    step = StepResult(technique="fine_tuning", seconds=1, after=after, epochs=epochs)
    return result(500, 2.0, quality, steps_run=[step], metric=metric, before=before)


def running(database: Database, queue: Queue, *ended: Result) -> Claim:  # noqa: F811
    """A trial whose search has these behind it."""
    search = {"budget": {"max_quality_drop": 0.01}}
    request = StudyRequest.model_validate({"model": "model_1", "dataset": "dataset_1", "search": search})
    study = submit_study(database, LOCAL, request)
    with database.writing() as session:
        planned = PlannedJob(recipe=Recipe.model_validate({"steps": RECIPE}), seed=0, written=None)
        row = session.get_one(StudyRow, study.id)
        add_jobs(session, LOCAL, row, run_options(request), [planned] * len(ended))
    for each in ended:
        claim = claimed(queue)
        with database.writing() as session:
            queue.finish(session, claim, "succeeded", result=each.model_dump(mode="json"))
    return claimed(queue)


KEPT = [trained(0.98, [0.5, lowest, 0.8, 0.9, 0.95, 0.97]) for lowest in (0.7, 0.75, 0.8)]
LOST = trained(0.9, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def looked_at(
    database: Database,  # noqa: F811
    claim: Claim,
    number: int,
    quality: float | None,
    metric: Metric = "accuracy",
    step: int = 1,
) -> Hopeless | None:
    return hopeless(database, claim, EpochEnded(step=step, epoch=epoch(number, quality, metric)))


def test_it_stands_lower_than_all_that_kept_to_the_budget(database: Database, queue: Queue) -> None:  # noqa: F811
    claim = running(database, queue, LOST, *KEPT)
    found = looked_at(database, claim, 2, 0.65)
    assert found is not None
    assert "after epoch 2 of 6: accuracy on held-back examples was 65.0 %. Of the 3 trainings" in found.why
    assert "the lowest stood at 70.0 %" in found.why
    assert looked_at(database, claim, 4, 0.65) is not None
    assert looked_at(database, claim, 2, 0.7) is None
    assert looked_at(database, claim, 2, 0.68) is None, "by less than three times what the budget allows"


def test_it_is_looked_at_after_thirds_of_its_training_alone(database: Database, queue: Queue) -> None:  # noqa: F811
    claim = running(database, queue, *KEPT)
    assert [number for number in range(1, EPOCHS + 1) if looked_at(database, claim, number, 0.0)] == [2, 4]
    assert looked_at(database, claim, 2, None) is None
    assert looked_at(database, claim, 2, 0.0, step=2) is None, "a quantize step's training is another one"


def test_nothing_is_hopeless_before_enough_have_kept_to_the_budget(
    database: Database,  # noqa: F811
    queue: Queue,
) -> None:
    shared = KEPT[0].model_copy(update={"steps": (KEPT[0].steps[0].model_copy(update={"run_by": "job_1"}),)})
    claim = running(database, queue, *KEPT[: FEWEST_KEPT - 1], LOST, LOST, shared)
    assert looked_at(database, claim, 2, 0.0) is None, "the same training doesn't count twice"


def test_an_error_is_the_lower_the_better(database: Database, queue: Queue) -> None:  # noqa: F811
    errors = [trained(0.1, [0.5, 0.4, 0.3, 0.2, 0.2, 0.1], "mean_squared_error", before=0.1) for _ in KEPT]
    claim = running(database, queue, *errors)
    assert looked_at(database, claim, 2, 0.6, "mean_squared_error") is not None
    assert looked_at(database, claim, 2, 0.3, "mean_squared_error") is None


def test_jobs_that_are_no_trials_are_never_stopped(database: Database, queue: Queue) -> None:  # noqa: F811
    claim = running(database, queue, *KEPT)
    assert looked_at(database, claim.model_copy(update={"study": None}), 2, 0.0) is None
