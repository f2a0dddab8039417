"""From its first trial to its end: what a search does each time one of its jobs has ended."""

import time
from pathlib import Path

import pytest

from app.core import jobs
from app.core.database import Database
from app.core.facts import LayerFacts
from app.core.keys import LOCAL
from app.core.measurements import ArtifactResult, Quality, Result, Verification
from app.core.queue import Claim, Queue
from app.core.recipes import StructuredPruning
from app.core.sensitivities import LayerSensitivity, Sensitivity
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.studies import reading
from app.core.studies.gate import GateFile, GateReading
from app.core.studies.requests import StudyRequest
from app.core.studies.schemas import Study
from app.core.studies.sharing import steps_worth_sharing
from app.core.studies.submitting import submit_study
from app.core.tables import DatasetRow, JobRow, ModelRow, StudyRow
from tests.core.conftest import database, settings, storage  # noqa: F401
from tests.core.rows import FACTS, dataset_row, model_row
from tests.core.studies.finished import result
from worker.job_folder import prepared
from worker.search.advancing import advance_search
from worker.studies import advance_open

CONVOLUTION = LayerFacts(name="conv", type="Conv2d", parameters=10, macs=10, output_shape=(1, 4, 8, 8))
WHOLE = FACTS.model_copy(update={"layers": (CONVOLUTION, *FACTS.layers)})


@pytest.fixture
def queue(database: Database, settings: Settings) -> Queue:  # noqa: F811
    with database.writing() as session:
        session.add_all([model_row(facts=WHOLE), dataset_row()])
    return Queue(database, settings, "worker-1")


def asked(database: Database, trials: int = 20, **search: object) -> Study:  # noqa: F811
    """So short that sensitivity isn't measured, where `search` doesn't say otherwise."""
    body = {"budget": {"max_quality_drop": 0.01}, "minimize": "size", "trials": trials, "seconds": 60, **search}
    request = {"model": "model_1", "dataset": "dataset_1", "search": body}
    return submit_study(database, LOCAL, StudyRequest.model_validate(request))


def succeeded(size: int, quality: float) -> Result:
    found = result(size, 1000 / size, quality)
    file = ArtifactResult(
        name="model.onnx",
        format="onnx",
        size_bytes=size,
        sha256="0",
        measured=found.compressed,
        verified=Verification(loaded=True, max_difference=0, cosine=1),
    )
    return found.model_copy(update={"best": "model.onnx", "artifacts": (file,)})


def end_one(
    database: Database,  # noqa: F811
    queue: Queue,
    study: Study,
    size: int = 500,
    quality: float = 0.98,
    slots: int = 1,
) -> str:
    """The oldest trial, and what the search does then."""
    claim = queue.claim(("compress",))
    assert claim is not None
    with database.writing() as session:
        queue.finish(session, claim, "succeeded", result=succeeded(size, quality).model_dump(mode="json"))
    advance_search(database, study.id, slots)
    return claim.job


def end_sensitivity(database: Database, queue: Queue, study: Study) -> JobRow:  # noqa: F811
    """It finds three groups, of which `conv` matters most."""
    claim = queue.claim(("sensitivity",))
    assert claim is not None
    judged = Quality(metric="accuracy", value=0.9, examples=500, labelled=True, synthetic=False)
    errors = {"conv": 0.3, "a[0]": 0.1, "fc": 0.2}
    rows = tuple(
        LayerSensitivity(
            layer=layer,
            technique="structured_pruning",
            amount=0.5,
            quality=0.9,
            quality_change=0,
            agreement=None,
            kl_divergence=None,
            error=error,
        )
        for layer, error in errors.items()
    )
    found = Sensitivity(baseline=judged, layers=rows, complete=True)
    with database.writing() as session:
        queue.finish(session, claim, "succeeded", result=found.model_dump(mode="json"))
    advance_search(database, study.id, slots=1)
    with database.reading() as session:
        return session.get_one(JobRow, claim.job)


def read_gate(database: Database, queue: Queue, study: Study, change: float) -> JobRow:  # noqa: F811
    claim = queue.claim(("gate",))
    assert claim is not None
    judged = Quality(metric="accuracy", value=0.9, examples=500, labelled=True, synthetic=False)
    files = (
        GateFile(
            job=job, file="model.onnx", quality=judged, change=change, change_ci95=(change - 0.005, change + 0.005)
        )
        for job in claim.request["candidates"]
    )
    reading_of_it = GateReading(baseline=judged, files=tuple(files))
    with database.writing() as session:
        queue.finish(session, claim, "succeeded", result=reading_of_it.model_dump(mode="json"))
    advance_search(database, study.id, slots=1)
    with database.reading() as session:
        return session.get_one(JobRow, claim.job)


def shown(database: Database, study: Study) -> Study:  # noqa: F811
    return reading.get(database, LOCAL, study.id)


def techniques(study: Study) -> list[list[str]]:
    return [[step.technique for step in point.recipe.steps or ()] for point in study.points]


def test_first_the_network_as_it_is_then_what_is_known_to_work_as_slots_allow(
    database: Database,  # noqa: F811
    queue: Queue,
) -> None:
    study = asked(database)
    advance_search(database, study.id, slots=2)
    assert techniques(shown(database, study)) == [[]]
    end_one(database, queue, study, slots=2)
    begun = shown(database, study)
    assert techniques(begun)[1:] == [["structured_pruning", "distillation"], ["static_quantization"]]
    for _ in range(12):
        end_one(database, queue, study, slots=2)
    grown = shown(database, study)
    assert len(grown.points) == 15
    assert grown.best is not None
    assert (grown.status, grown.gate) == ("running", None)
    recipes = [point.recipe for point in grown.points]
    assert all(recipe not in recipes[:number] for number, recipe in enumerate(recipes))


def test_a_sensitivity_analysis_gives_layers_ratios_of_their_own(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database, seconds=900)
    end_one(database, queue, study)
    assert queue.claim(("compress",)) is None, "with one slot it goes first"
    row = end_sensitivity(database, queue, study)
    assert row.request["seconds"] == 60
    for _ in range(14):
        end_one(database, queue, study, quality=0.95)
    steps = [point.recipe.steps or () for point in shown(database, study).points]
    ratios = [step.ratios for of_one in steps for step in of_one if isinstance(step, StructuredPruning) and step.ratios]
    assert {"conv": 0.619, "*": 0.843} in ratios


def test_with_two_slots_a_trial_runs_beside_the_analysis(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database, seconds=900)
    end_one(database, queue, study, slots=2)
    assert techniques(shown(database, study))[1:] == [["structured_pruning", "distillation"]]
    assert queue.claim(("sensitivity",)) is not None


def test_no_sensitivity_is_measured_where_nothing_would_follow_from_it(
    database: Database,  # noqa: F811
    queue: Queue,
) -> None:
    for asked_for in ({"trials": 1}, {"seconds": 60}):
        study = asked(database, **asked_for)
        end_one(database, queue, study)
        reading.cancel(database, LOCAL, study.id)
    assert queue.claim(("sensitivity",)) is None


def test_the_best_network_is_tried_in_other_precisions_before_more_are_trained(
    database: Database,  # noqa: F811
    queue: Queue,
) -> None:
    study = asked(database)
    for size in (900, 500, 800, 600):
        end_one(database, queue, study, size)
    points = shown(database, study).points
    pruned = points[1].recipe.steps
    assert pruned is not None
    assert points[4].recipe.steps is not None
    assert points[4].recipe.steps[:2] == pruned
    with database.reading() as session:
        row = session.get_one(JobRow, points[3].job)
        assert steps_worth_sharing(session, row) == {2}, "what it has trained is kept for that"


def test_one_that_was_stopped_early_is_no_failure(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database, trials=3)
    end_one(database, queue, study)
    claim = queue.claim(("compress",))
    assert claim is not None
    queue.stop_early(claim, "It stood low.")
    advance_search(database, study.id, slots=1)
    end_one(database, queue, study)
    read_gate(database, queue, study, change=0.0)
    over = shown(database, study)
    assert (over.status, over.failures) == ("succeeded", ())
    assert [(point.status, point.stopped_early) for point in over.points] == [
        ("succeeded", None),
        ("canceled", "It stood low."),
        ("succeeded", None),
    ]


def test_after_its_trials_the_gate_is_read_once_and_it_is_over(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database, trials=3)
    ended = [end_one(database, queue, study, size) for size in (500, 300, 400)]
    assert queue.claim(("compress",)) is None
    assert shown(database, study).status == "running"
    gate = read_gate(database, queue, study, change=0.0)
    assert gate.request["candidates"][0] == ended[1]
    over = shown(database, study)
    assert (over.status, over.done) == ("succeeded", True)
    assert over.best is not None
    assert (over.best.job, over.best.met_budget) == (ended[1], "proved")
    advance_search(database, study.id, slots=1)
    assert queue.claim(("gate", "compress")) is None
    assert jobs.get(database, LOCAL, gate.id).kind == "gate"


def test_where_nothing_keeps_to_the_budget_no_gate_is_read(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database, trials=1)
    end_one(database, queue, study, quality=0.5)
    over = shown(database, study)
    assert over.best is not None
    assert (over.status, over.best.met_budget, over.gate) == ("succeeded", "no", None)


def test_when_its_seconds_are_over_what_waits_is_canceled_and_the_best_is_judged(
    database: Database,  # noqa: F811
    queue: Queue,
    storage: Storage,  # noqa: F811
) -> None:
    study = asked(database)
    end_one(database, queue, study)
    advance_open(database, storage, slots=1)
    assert {point.status for point in shown(database, study).points[1:]} == {"queued"}
    with database.writing() as session:
        session.get_one(StudyRow, study.id).started_at = time.time() - 61
    for _ in range(2):
        advance_open(database, storage, slots=1)
    assert {point.status for point in shown(database, study).points[1:]} == {"canceled"}
    read_gate(database, queue, study, change=0.0)
    over = shown(database, study)
    assert over.best is not None
    assert (over.status, over.best.met_budget) == ("succeeded", "proved")


def test_a_first_trial_that_fails_ends_it(database: Database, queue: Queue) -> None:  # noqa: F811
    study = asked(database)
    claim = queue.claim(("compress",))
    assert claim is not None
    with database.writing() as session:
        queue.finish(session, claim, "failed", error={"code": "c", "title": "t", "detail": "d"})
    advance_search(database, study.id, slots=1)
    assert shown(database, study).status == "failed"


def test_one_that_is_canceled_gets_no_more_trials_and_keeps_its_best(
    database: Database,  # noqa: F811
    queue: Queue,
) -> None:
    study = asked(database)
    first = end_one(database, queue, study)
    over = reading.cancel(database, LOCAL, study.id)
    advance_search(database, study.id, slots=1)
    assert over.status == "canceled"
    assert over.best is not None
    assert (over.best.job, over.best.met_budget) == (first, "measured")
    assert len(shown(database, study).points) == len(over.points)


def test_what_the_sampler_draws_follows_from_the_trials_alone(database: Database, queue: Queue) -> None:  # noqa: F811
    def drawn() -> list[object]:
        study = asked(database, trials=14)
        for number in range(14):
            end_one(database, queue, study, size=500 - 10 * number)
        while queue.claim(("gate",)) is not None:
            pass
        return [point.recipe for point in shown(database, study).points]

    first = drawn()
    assert (len(first), first) == (14, drawn())


def test_trials_and_the_gate_see_different_halves(
    database: Database,  # noqa: F811
    queue: Queue,
    settings: Settings,  # noqa: F811
    storage: Storage,  # noqa: F811
) -> None:
    study = asked(database, trials=1)
    with database.reading() as session:
        for row in (session.get_one(ModelRow, "model_1"), session.get_one(DatasetRow, "dataset_1")):
            storage.store(Path(__file__), row.file_key)
    parts = []
    for kind in ("compress", "gate"):
        with database.reading() as session:
            row = session.query(JobRow).filter(JobRow.study_id == study.id, JobRow.kind == kind).one()
        parts.append(_part_of(database, settings, storage, row))
        if kind == "compress":
            end_one(database, queue, study)
    assert parts == [("choice", 0), ("gate", 0)]


def _part_of(database: Database, settings: Settings, storage: Storage, row: JobRow) -> tuple[str, int]:  # noqa: F811
    claim = Claim(
        job=row.id, attempt=1, kind=row.kind, owner=row.owner, model=row.model_id, dataset=row.dataset_id,
        study=row.study_id, request=row.request, created_at=0, started_at=0,
    )  # fmt: skip
    with prepared(settings, database, storage, claim) as folder:
        file = folder.dataset_file()
    assert file is not None
    assert file.part is not None
    return file.part.half, file.part.seed
