from typing import Any

import pytest
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.facts import ArrayFacts, LayerFacts, ModelFacts
from app.core.recipes import FineTuning, SparsityTraining
from app.core.recipes.recipe import check_data, check_facts

IMAGES = {"x_train": ArrayFacts(shape=(9, 1, 8, 8), dtype="float32")}
VECTORS = {"x_train": ArrayFacts(shape=(9, 20), dtype="float32"), "y_train": ArrayFacts(shape=(9, 1, 1, 1), dtype="i8")}


def facts(*types: str) -> ModelFacts:
    layers = tuple(LayerFacts(name=kind, type=kind, parameters=4, macs=None, output_shape=None) for kind in types)
    return ModelFacts(parameters=4, macs=None, layers=layers, editable="whole")


def test_fields_have_the_defaults_that_are_promised() -> None:
    step = FineTuning()
    assert (step.epochs, step.seconds, step.learning_rate, step.batch_size) == (3, None, 1e-3, 64)
    assert (step.optimizer, step.start, step.early_stop) == ("adamw", "weights", True)
    assert (SparsityTraining().penalty, SparsityTraining().strength) == ("l1", 1e-4)


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 0},
        {"seconds": 0},
        {"learning_rate": 0},
        {"batch_size": 1},
        {"optimizer": "lion"},
        {"validation": 0.9},
        {"label_smoothing": 1},
        {"learning_rate_schedule": "cyclic"},
        {"patience": 0},
        {"gradient_clipping": 0},
        {"step_size": 3},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_can_not_train_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FineTuning(**fields)


def test_fine_tuning_needs_labels_and_sparsity_training_does_not() -> None:
    with pytest.raises(Invalid) as caught:
        check_data((FineTuning(),), "unlabelled", VECTORS)
    assert (caught.value.code, caught.value.step) == ("labels_required", 0)
    check_data((SparsityTraining(),), "unlabelled", VECTORS)
    with pytest.raises(Invalid) as caught:
        check_data((SparsityTraining(),), None, {})
    assert caught.value.code == "dataset_required"


def test_augmentation_is_for_images() -> None:
    check_data((FineTuning(augmentation="flip"),), "classification", IMAGES)
    check_data((FineTuning(),), "classification", VECTORS)
    with pytest.raises(Invalid, match=r"\[20\]") as caught:
        check_data((FineTuning(), FineTuning(augmentation="flip")), "classification", VECTORS)
    assert (caught.value.code, caught.value.step) == ("data_does_not_fit", 1)


def test_a_penalty_on_batch_norms_needs_one() -> None:
    check_facts((SparsityTraining(penalty="batch_norm_l1"),), facts("Conv2d", "BatchNorm2d"))
    check_facts((SparsityTraining(penalty="group_lasso"),), facts("Conv2d"))
    with pytest.raises(Invalid, match="it has none") as caught:
        check_facts((SparsityTraining(penalty="batch_norm_l1"),), facts("Conv2d"))
    assert (caught.value.code, caught.value.step) == ("technique_unavailable", 0)
