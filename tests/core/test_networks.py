"""State dicts that belong to a network that is here already."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.core import models
from app.core.architectures import LayersArchitecture, ModelArchitecture
from app.core.database import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.keys import Caller
from app.core.layouts import layout_of
from app.core.networks import missing_network
from app.core.storage import Storage
from app.core.tables import ModelRow
from tests.core.rows import model_row

ME = Caller(id="local", scopes=frozenset())
SHAPES = {"fc.weight": (2, 3), "fc.bias": (2,)}
LAYOUT = layout_of(SHAPES)
LINEAR = {"source": "layers", "layers": [{"type": "Linear", "name": "fc", "in_features": 3, "out_features": 2}]}


def weights(identifier: str, architecture: Any = None) -> models.KeptModel:
    upload = models.ModelUpload(name="m", architecture=architecture)
    fields = {"format": "safetensors", "size_bytes": 1, "sha256": identifier, "converted_key": None}
    return models.KeptModel(id=identifier, upload=upload, file_key=f"models/{identifier}", layout=LAYOUT, **fields)


def add(database: Database, kept: models.KeptModel, *earlier: ModelRow) -> models.Model:
    with database.writing() as session:
        session.add_all(earlier)
        session.flush()
        return models.present(models.add(session, ME, kept))


def unlocking(database: Database, identifier: str) -> str:
    with database.reading() as session:
        return missing_network(session, session.get_one(ModelRow, identifier)).advice


def archive(identifier: str, **values: Any) -> ModelRow:
    return model_row(identifier, **{"layout": LAYOUT, "sha256": identifier, **values})


def test_weights_are_recognized_by_the_names_and_shapes_of_an_archive(database: Database) -> None:
    model = add(database, weights("model_2"), archive("model_1"))
    assert model.architecture == ModelArchitecture(source="model", model="model_1")
    assert model.architecture_from == "recognized"


def test_weights_take_over_the_architecture_of_a_state_dict(database: Database) -> None:
    earlier = archive("model_1", format="state_dict", architecture=LINEAR, architecture_from="given")
    model = add(database, weights("model_2"), earlier)
    assert isinstance(model.architecture, LayersArchitecture)
    assert model.architecture_from == "recognized"


def test_the_same_file_sent_twice_is_one_network(database: Database) -> None:
    rows = archive("model_1"), archive("model_2", sha256="model_1")
    assert add(database, weights("model_3"), *rows).architecture_from == "recognized"


def test_weights_of_weights_of_an_archive_rest_on_the_archive(database: Database) -> None:
    add(database, weights("model_2"), archive("model_1"))
    with database.writing() as session:
        session.get(ModelRow, "model_2").status = "ready"
    assert add(database, weights("model_3")).architecture == ModelArchitecture(source="model", model="model_1")
    named = ModelArchitecture(source="model", model="model_2")
    assert add(database, weights("model_4", named)).architecture == ModelArchitecture(source="model", model="model_1")


@pytest.mark.parametrize(
    "other",
    [{"layout": layout_of({"fc.weight": (3, 3)})}, {"owner": "someone"}, {"status": "inspecting"}],
    ids=["other shapes", "someone else's", "not inspected yet"],
)
def test_nothing_is_recognized_that_does_not_fit_or_is_not_known(database: Database, other: dict[str, Any]) -> None:
    model = add(database, weights("model_2"), archive("model_1", **other))
    assert (model.architecture, model.architecture_from) == (None, None)
    assert "model_…" in unlocking(database, "model_2")


def test_several_networks_that_fit_are_named_and_none_is_chosen(database: Database) -> None:
    model = add(database, weights("model_3"), archive("model_1"), archive("model_2"))
    assert model.architecture is None
    assert "several of your models, whose networks differ: model_2, model_1." in unlocking(database, "model_3")


def test_a_network_that_came_later_is_named_too(database: Database) -> None:
    add(database, weights("model_1"))
    with database.writing() as session:
        session.add(archive("model_2"))
    assert "fit one of your models: model_2." in unlocking(database, "model_1")


def test_weights_alone_are_no_network_for_others(database: Database) -> None:
    add(database, weights("model_1"))
    with database.writing() as session:
        session.get(ModelRow, "model_1").status = "ready"
    assert add(database, weights("model_2")).architecture is None
    named = ModelArchitecture(source="model", model="model_1")
    with pytest.raises(Invalid, match="model_1, which holds weights without a network itself") as caught:
        add(database, weights("model_3", named))
    assert caught.value.code == "architecture_required"


def test_weights_alone_do_not_keep_a_network_from_being_recognized(database: Database) -> None:
    add(database, weights("model_1"))
    with database.writing() as session:
        session.get(ModelRow, "model_1").status = "ready"
    assert add(database, weights("model_3"), archive("model_2")).architecture_from == "recognized"


def test_someone_elses_model_is_not_there(database: Database) -> None:
    named = ModelArchitecture(source="model", model="model_1")
    with pytest.raises(NotFound):
        add(database, weights("model_2", named), archive("model_1", owner="someone"))


def test_a_rejected_model_has_no_network_to_offer(database: Database) -> None:
    named = ModelArchitecture(source="model", model="model_1")
    with pytest.raises(Invalid, match="model_1, which was rejected") as caught:
        add(database, weights("model_2", named), archive("model_1", status="rejected"))
    assert caught.value.code == "load_failed"


def test_a_model_stays_while_others_take_their_network_from_it(database: Database, storage: Storage) -> None:
    add(database, weights("model_2"), archive("model_1"))
    with pytest.raises(Conflict, match="Delete model_2 first") as caught:
        models.delete(database, storage, ME, "model_1")
    assert caught.value.code == "in_use"
    for identifier in ("model_2", "model_1"):
        models.delete(database, storage, ME, identifier)


def test_the_database_keeps_that_rule_by_itself(database: Database) -> None:
    add(database, weights("model_2"), archive("model_1"))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.delete(session.get(ModelRow, "model_1"))


def test_batch_counters_do_not_tell_networks_apart() -> None:
    assert layout_of({**SHAPES, "norm.num_batches_tracked": ()}) == LAYOUT
    assert layout_of({**SHAPES, "norm.weight": (3,)}) != LAYOUT
