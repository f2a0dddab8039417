import pytest

from app.core import jobs, submissions
from app.core.database import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.facts import ModelFacts
from app.core.job_options import JobRequest
from app.core.keys import LOCAL, Caller
from app.core.submissions import Idempotency
from tests.core.rows import FACTS, dataset_row, model_row

PRUNE = {"technique": "magnitude_pruning", "sparsity": 0.5}
STATIC = {"technique": "static_quantization"}


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.writing() as session:
        session.add_all([model_row(), dataset_row(), dataset_row("dataset_2", "unlabelled")])
        session.add_all([model_row("model_new", "inspecting"), model_row("model_bad", "rejected")])
        session.add(model_row("model_fixed", facts=FACTS.model_copy(update={"editable": "no", "outputs": ()})))
        embedding = FACTS.layers[0].model_copy(update={"type": "Embedding"})
        session.add(model_row("model_table", facts=FACTS.model_copy(update={"layers": (embedding,)})))
    return database


def submit(database: Database, steps: list[dict], key: str | None = None, **request) -> jobs.Job:
    body = {"model": "model_1", "dataset": "dataset_1", "recipe": {"steps": steps}, **request}
    idempotency = Idempotency.of(key, body) if key else None
    return submissions.submit_request(database, LOCAL, JobRequest.model_validate(body), idempotency)


def test_a_job_that_can_work_is_queued(stocked: Database) -> None:
    job = submit(stocked, [PRUNE, STATIC])
    assert (job.status, job.done, job.model, job.outputs) == ("queued", False, "model_1", ("onnx",))


@pytest.mark.parametrize(
    ("code", "steps", "request_fields"),
    [
        ("recipe_order", [STATIC, PRUNE], {}),
        ("dataset_required", [STATIC], {"dataset": None}),
        ("output_unavailable", [STATIC], {"outputs": ["exported_program"]}),
        ("output_unavailable", [STATIC], {"outputs": ["onnx", "state_dict"]}),
        ("technique_unavailable", [STATIC], {"model": "model_table"}),
        ("not_editable", [], {"model": "model_fixed"}),
        ("load_failed", [PRUNE], {"model": "model_bad"}),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_queued(
    stocked: Database, code: str, steps: list[dict], request_fields: dict
) -> None:
    with pytest.raises(Invalid) as refused:
        submit(stocked, steps, **request_fields)
    assert refused.value.code == code
    assert jobs.page(stocked, LOCAL, 10, None).data == ()


@pytest.mark.parametrize(("bits", "output"), [(3, "openvino"), (4, "exported_program"), (8, "exported_program")])
def test_bits_that_a_format_cannot_hold_are_refused_with_the_formats_that_can(
    stocked: Database, bits: int, output: str
) -> None:
    with pytest.raises(Invalid, match=f"can't be held by the format {output}") as refused:
        submit(stocked, [{"technique": "weight_quantization", "bits": bits}], outputs=[output])
    assert refused.value.code == "output_unavailable"
    assert "Ask for one of: onnx, torchscript, state_dict" in refused.value.detail


def test_a_model_that_is_still_inspected_is_accepted(stocked: Database) -> None:
    assert submit(stocked, [PRUNE], model="model_new").status == "queued"


def test_presets_fit_any_model(stocked: Database) -> None:
    for preset in ("small", "fast", "safe"):
        for model in ("model_1", "model_table"):
            body = {"model": model, "recipe": {"preset": preset}, "outputs": ["onnx", "state_dict"]}
            assert submissions.submit_request(stocked, LOCAL, JobRequest.model_validate(body), None).status == "queued"


def test_the_same_key_and_body_give_the_same_job(stocked: Database) -> None:
    first = submit(stocked, [PRUNE], key="k")
    assert submit(stocked, [PRUNE], key="k").id == first.id
    with pytest.raises(Conflict, match="another body"):
        submit(stocked, [PRUNE, STATIC], key="k")
    assert len(jobs.page(stocked, LOCAL, 10, None).data) == 1


def test_someone_elses_objects_are_not_there(stocked: Database) -> None:
    stranger = Caller(id="key_other", scopes=frozenset({"jobs:write", "jobs:read"}))
    job = submit(stocked, [PRUNE])
    with pytest.raises(NotFound):
        jobs.get(stocked, stranger, job.id)
    with pytest.raises(NotFound):
        submissions.submit_request(
            stocked, stranger, JobRequest.model_validate({"model": "model_1", "recipe": {"preset": "safe"}}), None
        )
    assert jobs.page(stocked, stranger, 10, None).data == ()


def test_lists_are_newest_first_and_paged(stocked: Database) -> None:
    made = [submit(stocked, [PRUNE]).id for _ in range(5)]
    first = jobs.page(stocked, LOCAL, 2, None)
    second = jobs.page(stocked, LOCAL, 10, first.data[-1].id)
    assert [job.id for job in (*first.data, *second.data)] == sorted(made, reverse=True)
    assert (first.has_more, second.has_more) == (True, False)


def facts_with(*layers: str) -> ModelFacts:
    return FACTS.model_copy(update={"layers": tuple(FACTS.layers[0].model_copy(update={"type": t}) for t in layers)})
