"""What a job's readers are told while it runs, however much its child has to say."""

from pathlib import Path

import pytest

from app.core import jobs
from app.core.database import Database
from app.core.events import Event, events_after
from app.core.measurements import Epoch
from app.core.messages import EpochEnded
from app.core.queue import Queue
from app.core.settings import Settings
from worker import hold
from worker.hold import Hold


@pytest.fixture
def database(tmp_path: Path):
    database = Database(Settings(data_dir=tmp_path).url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def held(database: Database, tmp_path: Path) -> Hold:
    queue = Queue(database, Settings(data_dir=tmp_path), "worker-1")
    with database.writing() as session:
        jobs.queue_row(session, jobs.new_row("local", "compress", {}, None, None))
    claim = queue.claim(("compress",))
    assert claim is not None
    return Hold(queue, claim, 1, 30)


def told(database: Database, held: Hold) -> list[Event]:
    with database.reading() as session:
        return [e for e in events_after(session, held.claim.job, 0, 1000) if e.type in ("epoch", "resumed")]


def ended(number: int) -> EpochEnded:
    epoch = Epoch(epoch=number, epochs=500, loss=0.5, learning_rate=0.1, seconds=1, validation_quality=0.9)
    return EpochEnded(step=1, epoch=epoch)


def test_an_epoch_is_an_event_with_all_its_figures(database: Database, held: Hold) -> None:
    held.report_epoch(ended(7))
    (event,) = told(database, held)
    assert event.data == {"step": 1, **ended(7).epoch.model_dump(mode="json")}


def test_epochs_in_haste_are_not_all_told(database: Database, held: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "EPOCHS_WITHOUT_PAUSE", 5)
    monkeypatch.setattr(hold, "SECONDS_BETWEEN_REPORTS", 60.0)
    for number in range(1, 21):
        held.report_epoch(ended(number))
    assert [event.data["epoch"] for event in told(database, held)] == [1, 2, 3, 4, 5]


def test_a_job_that_goes_on_says_where(database: Database, held: Hold) -> None:
    held.resume(1, 2)
    (event,) = told(database, held)
    assert event.data == {"steps_done": 1, "message": "Continuing after step 1 of 2"}
