import pytest

from app.core.database import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.jobs import Job
from app.core.keys import LOCAL
from app.core.sensitivities import SensitivityOptions
from app.core.sensitivity import submit_sensitivity
from app.core.submissions import Idempotency
from tests.core.rows import FACTS, dataset_row, model_row


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.writing() as session:
        session.add_all([model_row(), dataset_row(), model_row("model_new", "inspecting")])
        session.add(model_row("model_bad", "rejected"))
        session.add(model_row("model_fixed", facts=FACTS.model_copy(update={"editable": "no", "outputs": ()})))
    return database


def submit(database: Database, model: str = "model_1", key: str | None = None, **options: object) -> Job:
    idempotency = Idempotency.of(key, {"model": model, **options}) if key else None
    return submit_sensitivity(database, LOCAL, model, SensitivityOptions.model_validate(options), idempotency)


@pytest.mark.parametrize("model", ["model_1", "model_new"])
def test_a_job_of_its_kind_is_queued(stocked: Database, model: str) -> None:
    job = submit(stocked, model, dataset="dataset_1", seed=3)
    assert (job.kind, job.status, job.model, job.dataset, job.seed) == ("sensitivity", "queued", model, "dataset_1", 3)
    assert (job.recipe, job.outputs) == (None, None)


@pytest.mark.parametrize(("model", "code"), [("model_bad", "load_failed"), ("model_fixed", "not_editable")])
def test_a_model_that_nothing_can_be_done_to_is_refused(stocked: Database, model: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        submit(stocked, model)
    assert refused.value.code == code


def test_what_is_not_there_is_not_found(stocked: Database) -> None:
    with pytest.raises(NotFound):
        submit(stocked, "model_2")
    with pytest.raises(NotFound):
        submit(stocked, dataset="dataset_9")


def test_the_same_key_gives_the_same_job(stocked: Database) -> None:
    assert submit(stocked, key="k").id == submit(stocked, key="k").id
    with pytest.raises(Conflict):
        submit(stocked, key="k", seed=1)
