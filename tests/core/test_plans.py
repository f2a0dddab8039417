"""POST /v1/plans without HTTP: what is refused, and what a prediction follows from."""

import pytest

from app.core import jobs
from app.core.database import Database
from app.core.errors import Conflict, Invalid
from app.core.facts import LayerFacts
from app.core.job_options import JobRequest
from app.core.keys import LOCAL
from app.core.plans.planning import plan_request
from app.core.plans.schemas import Plan
from app.core.tables import DatasetRow, JobRow
from tests.core.rows import FACTS, dataset_row, model_row

# Linear 100 -> 50 -> 40 -> 10.
MLP = FACTS.model_copy(
    update={
        "parameters": 7500,
        "macs": 7400,
        "answers": ((1, 10),),
        "layers": (
            LayerFacts(name="one", type="Linear", parameters=5050, macs=5000, output_shape=(1, 50)),
            LayerFacts(name="two", type="Linear", parameters=2040, macs=2000, output_shape=(1, 40)),
            LayerFacts(name="three", type="Linear", parameters=410, macs=400, output_shape=(1, 10)),
        ),
    }
)
PRUNE = {"technique": "structured_pruning", "ratio": 0.5, "scope": "layer"}
TRAIN = {"technique": "fine_tuning", "epochs": 4}


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.writing() as session:
        session.add_all([model_row(facts=MLP), dataset_row(), model_row("model_new", "inspecting")])
    return database


def plan(database: Database, *steps: dict, **request) -> Plan:
    body = {"model": "model_1", "dataset": "dataset_1", "recipe": {"steps": steps}, **request}
    return plan_request(database, LOCAL, JobRequest.model_validate(body))


def test_what_a_job_would_be_refused_for_is_refused(stocked: Database) -> None:
    with pytest.raises(Invalid) as refused:
        plan(stocked, {"technique": "static_quantization"}, dataset=None)
    assert refused.value.code == "dataset_required"


def test_without_facts_there_is_no_prediction(stocked: Database) -> None:
    with pytest.raises(Conflict) as refused:
        plan(stocked, PRUNE, model="model_new")
    assert refused.value.code == "still_inspecting"


def test_nothing_is_queued(stocked: Database) -> None:
    plan(stocked, PRUNE)
    assert jobs.page(stocked, LOCAL, 10, None).data == ()


def test_pruned_units_are_gone_from_the_next_layer_too(stocked: Database) -> None:
    predicted = plan(stocked, PRUNE).predicted
    assert predicted.parameters == (100 * 25 + 25) + (25 * 20 + 20) + (20 * 10 + 10)
    assert predicted.macs == 100 * 25 + 25 * 20 + 20 * 10


def test_layers_that_are_left_alone_keep_their_units(stocked: Database) -> None:
    predicted = plan(stocked, {**PRUNE, "only": ["two"]}).predicted
    assert predicted.macs == 100 * 50 + 50 * 20 + 20 * 10


@pytest.mark.parametrize("target", [{"parameters": 3000}, {"macs": 3000}, {"size_bytes": 12_000}])
def test_a_target_is_just_met(stocked: Database, target: dict) -> None:
    predicted = plan(stocked, {"technique": "structured_pruning", "target": target}).predicted
    met = {"parameters": predicted.parameters, "macs": predicted.macs, "size_bytes": predicted.parameters * 4}
    ((name, wanted),) = target.items()
    assert 0.97 * wanted <= met[name] <= wanted


def test_zeros_are_left_out_of_a_state_dict_only(stocked: Database) -> None:
    found = plan(stocked, {"technique": "magnitude_pruning", "sparsity": 0.9}, outputs=["onnx", "state_dict"])
    dense = plan(stocked, outputs=["onnx", "state_dict"])
    assert found.predicted.nonzero_parameters == round(7400 * 0.1 + 100)
    assert found.files[0] == dense.files[0]
    assert dense.files[1].size_bytes - found.files[1].size_bytes > 0.8 * 7400 * 4


def test_the_smallest_file_is_taken_where_size_counts(stocked: Database) -> None:
    outputs = ["state_dict", "onnx"]
    smallest = plan(stocked, PRUNE, outputs=outputs, minimize="size")
    assert smallest.predicted.size_bytes == smallest.files[1].size_bytes
    assert plan(stocked, PRUNE, outputs=outputs).predicted.size_bytes == smallest.files[0].size_bytes


def test_every_candidate_of_auto_is_predicted(stocked: Database) -> None:
    sizes = {file.name: file.size_bytes for file in plan(stocked, outputs=["auto"]).files}
    assert sizes["model.int4-weights.onnx"] < sizes["model.int8-weights.onnx"] < sizes["model.float32.onnx"]


def test_guesses_are_said(stocked: Database) -> None:
    assert plan(stocked, PRUNE).warnings == ()
    (warning,) = plan(stocked, {**PRUNE, "scope": "global"}).warnings
    assert "which layers lose more" in warning


def test_time_follows_from_the_jobs_that_were_done(stocked: Database) -> None:
    before = plan(stocked, TRAIN)
    assert "no job has succeeded" in before.basis.seconds
    with stocked.writing() as session:
        session.add(_trained_for(80.0))
    after = plan(stocked, TRAIN)
    # 80 s of training for 4 epochs, and 1 s beside it; 9 s for three files.
    assert after.predicted.seconds == pytest.approx(90.0)
    assert plan(stocked, {**TRAIN, "epochs": 8}).predicted.seconds == pytest.approx(170.0)
    assert "(1 looked at" in after.basis.seconds


@pytest.mark.parametrize("recipe", [{"preset": "safe"}, {"steps": [{"technique": "forgotten"}]}, {"steps": [PRUNE]}])
def test_a_past_job_that_tells_nothing_of_training_is_no_hindrance(stocked: Database, recipe: dict) -> None:
    """Of a preset, of an older version, or of data without examples to train on."""
    with stocked.writing() as session:
        job = _trained_for(80.0)
        job.request = {**job.request, "recipe": recipe}
        session.get_one(DatasetRow, "dataset_1").facts = {"examples": {"train": 0}, "task": "classification"}
        session.add(job)
    assert plan(stocked, TRAIN).predicted.seconds > 0


def test_a_layer_whose_output_was_not_seen_is_no_hindrance(stocked: Database) -> None:
    unseen = LayerFacts(name="unused", type="Linear", parameters=50, macs=0, output_shape=None)
    with stocked.writing() as session:
        session.add(model_row("model_2", facts=MLP.model_copy(update={"layers": (*MLP.layers, unseen)})))
    for step in ({"technique": "low_rank_factorization", "rank": 2}, PRUNE):
        assert plan(stocked, step, model="model_2").predicted.size_bytes > 0


def _trained_for(seconds: float) -> JobRow:
    epochs = [{"seconds": seconds / 4}] * 4
    return JobRow(
        id="job_1",
        owner="local",
        kind="compress",
        status="succeeded",
        model_id="model_1",
        dataset_id="dataset_1",
        request={"model": "model_1", "dataset": "dataset_1", "recipe": {"steps": [TRAIN]}, "outputs": ["onnx"]},
        result={
            "steps": [{"technique": "fine_tuning", "seconds": seconds + 1, "epochs": epochs}],
            "artifacts": [{"format": "onnx"}],
        },
        created_at=0.0,
        started_at=100.0,
        finished_at=100.0 + seconds + 10.0,
    )


def test_training_takes_memory_for_gradients_and_moments(stocked: Database) -> None:
    assert plan(stocked, TRAIN).predicted.memory_mb > plan(stocked, PRUNE).predicted.memory_mb
