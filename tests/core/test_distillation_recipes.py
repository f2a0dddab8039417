import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core import submissions
from app.core.database import Database
from app.core.errors import Invalid
from app.core.inputs import InputSpec
from app.core.job_options import JobRequest
from app.core.keys import LOCAL
from app.core.recipes import Distillation
from app.core.recipes.recipe import Recipe
from tests.core.rows import FACTS, dataset_row, model_row

IMAGE = InputSpec(name="image", shape=("batch", 3, "height", 32)).model_dump(mode="json")


@pytest.fixture
def stocked(database: Database) -> Database:
    two, three, none = (FACTS.model_copy(update={"answers": answers}) for answers in (((1, 2),), ((1, 3),), None))
    images = model_row("model_images", facts=two)
    images.inspection = images.inspection | {"inputs": [IMAGE]}
    fixed = two.model_copy(update={"editable": "partly"})
    with database.writing() as session:
        session.add_all([model_row(facts=two), model_row("model_same", facts=two), model_row("model_3", facts=three)])
        session.add_all([images, model_row("model_old", facts=none), model_row("model_fixed", facts=fixed)])
        session.add_all([model_row("model_new", "inspecting")])
        session.add_all([dataset_row(), dataset_row("dataset_2", "unlabelled")])
    return database


def submit(database: Database, dataset: str = "dataset_1", **fields: object) -> None:
    steps = [{"technique": "distillation", **fields}]
    body = {"model": "model_1", "dataset": dataset, "recipe": {"steps": steps}}
    submissions.submit_request(database, LOCAL, JobRequest.model_validate(body), None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dataset": "dataset_2"},
        {"dataset": "dataset_2", "labels": "teacher"},
        {"teacher": "model_same"},
        {"student": {"model": "model_same"}},
        {"student": {"model": "model_old"}},
        {"student": {"model": "model_new"}},
        {"student": {"model": "model_3"}, "teacher": "model_3"},
        {"student": {"thin": 0.5}},
    ],
    ids=str,
)
def test_what_may_work_is_queued(stocked: Database, fields: dict) -> None:
    submit(stocked, **fields)


@pytest.mark.parametrize(
    ("code", "said", "fields"),
    [
        ("labels_required", "labels", {"dataset": "dataset_2", "labels": "true"}),
        ("models_do_not_fit", "1, 3", {"teacher": "model_3"}),
        ("models_do_not_fit", "1, 3", {"student": {"model": "model_3"}}),
        ("models_do_not_fit", "inputs", {"student": {"model": "model_images"}}),
        ("models_do_not_fit", "model_fixed", {"teacher": "model_fixed"}),
    ],
    ids=str,
)
def test_what_can_not_work_is_refused(stocked: Database, code: str, said: str, fields: dict) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        submit(stocked, **fields)
    assert (refused.value.code, refused.value.step) == (code, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"alpha": 1.1},
        {"student": {"thin": 1.0}},
        {"student": {"thin": 0.5, "model": "model_1"}},
        {"student": {"architecture": {"source": "model", "model": "model_1"}}},
        {"teacher": "someone"},
        {"labels": "some"},
    ],
    ids=str,
)
def test_fields_have_bounds(fields: dict) -> None:
    with pytest.raises(ValidationError):
        Distillation.model_validate({"technique": "distillation", **fields})


def test_what_the_manual_shows_can_be_sent() -> None:
    manual = Path(__file__).parents[2] / "docs/techniques/distillation.md"
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", manual.read_text(), re.DOTALL)]
    for block in blocks:
        Recipe.model_validate(block if "steps" in block else {"steps": [block]})
    assert len(blocks) > 10


def test_models_that_a_step_names_are_known() -> None:
    assert Distillation().models == ()
    assert Distillation(teacher="model_a", student={"model": "model_b"}).models == ("model_a", "model_b")
