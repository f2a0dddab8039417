"""Models that a step names beside the job's own: found, waited for and kept as that one is."""

import pytest

from app.core import jobs, models, submissions
from app.core.database import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.job_options import JobRequest
from app.core.keys import LOCAL, Caller
from app.core.queue import Queue
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.tables import JobRow, ModelRow
from tests.core.rows import dataset_row, model_row

STRANGER = Caller(id="key_other", scopes=frozenset({"jobs:write"}))


@pytest.fixture(autouse=True)
def rows(database: Database) -> None:
    with database.writing() as session:
        session.add_all([model_row("model_own"), dataset_row(), model_row("model_teacher"), model_row("model_free")])
        session.add_all([model_row("model_new", "inspecting"), model_row("model_bad", "rejected")])
        session.add_all([model_row("model_theirs", owner="key_other")])


def submit(database: Database, teacher: str, caller: Caller = LOCAL) -> jobs.Job:
    steps = [{"technique": "distillation", "teacher": teacher}]
    body = {"model": "model_own", "dataset": "dataset_1", "recipe": {"steps": steps}}
    return submissions.submit_request(database, caller, JobRequest.model_validate(body), None)


def test_one_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="model_none"):
        submit(database, "model_none")


def test_nor_is_someone_elses(database: Database) -> None:
    with database.writing() as session:
        for table, key in ((ModelRow, "model_own"), (type(dataset_row()), "dataset_1")):
            session.get_one(table, key).owner = "key_other"
    with pytest.raises(NotFound, match="model_teacher"):
        submit(database, "model_teacher", STRANGER)
    assert submit(database, "model_theirs", STRANGER).status == "queued"


def test_one_that_was_rejected_is_refused(database: Database) -> None:
    with pytest.raises(Invalid, match="model_bad") as caught:
        submit(database, "model_bad")
    assert caught.value.code == "load_failed"


def test_the_job_waits_until_it_is_inspected(database: Database, settings: Settings) -> None:
    queue = Queue(database, settings, "worker-1")
    job = submit(database, "model_new")
    assert queue.claim(("compress",)) is None
    with database.writing() as session:
        session.get_one(ModelRow, "model_new").status = "ready"
    claim = queue.claim(("compress",))
    assert claim is not None
    assert claim.job == job.id


@pytest.mark.parametrize("status", ["queued", "running"])
def test_it_cannot_be_deleted_while_the_job_needs_it(database: Database, storage: Storage, status: str) -> None:
    job = submit(database, "model_teacher")
    with database.writing() as session:
        session.get_one(JobRow, job.id).status = status
    models.delete(database, storage, LOCAL, "model_free")
    with pytest.raises(Conflict, match=job.id):
        models.delete(database, storage, LOCAL, "model_teacher")


def test_it_can_be_deleted_when_the_job_is_done(database: Database, storage: Storage) -> None:
    job = submit(database, "model_teacher")
    with database.writing() as session:
        session.get_one(JobRow, job.id).status = "succeeded"
    models.delete(database, storage, LOCAL, "model_teacher")
    assert jobs.get(database, LOCAL, job.id).status == "succeeded"
