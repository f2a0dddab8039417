import pytest
import torch
from torch import nn

from app.core.recipes import SparsityTraining
from tests.worker.training.tasks import accuracy, dataset, network, run_for
from worker.network import Network, layers_of
from worker.techniques import apply
from worker.training.penalties import PENALTIES, channels_of

STRENGTHS = {"l1": 1e-2, "l2": 2e-2, "group_lasso": 1e-2, "batch_norm_l1": 2e-2}
LABELLED = dataset(train=200)
UNLABELLED = dataset(train=200, y_train=None, y_test=None)


def normalized() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3))


def trained(penalty: str, strength: float, data=LABELLED, **fields) -> Network:
    given = network(normalized)
    step = SparsityTraining(
        penalty=penalty, strength=strength, **({"epochs": 12, "batch_size": 16, "learning_rate": 0.02} | fields)
    )
    return apply(step, given, run_for(given, data))


def total(penalty: str, given: Network) -> float:
    return sum(PENALTIES[penalty](layer).item() for layer in layers_of(given.module).values())


@pytest.mark.parametrize("penalty", sorted(PENALTIES))
@pytest.mark.parametrize("data", [LABELLED, UNLABELLED], ids=["labels", "no labels"])
def test_what_the_penalty_is_on_becomes_smaller_than_without_it(penalty: str, data) -> None:
    free, held = trained(penalty, 1e-9, data), trained(penalty, STRENGTHS[penalty], data)
    assert total(penalty, held) < 0.75 * total(penalty, free)
    if data is LABELLED:
        assert accuracy(held.module) > accuracy(free.module) - 0.15


def test_group_lasso_empties_whole_channels() -> None:
    def empty(given: Network) -> int:
        (channels,) = channels_of(layers_of(given.module)["0"])
        return int((channels.norm(dim=1) < 0.05).sum())

    assert empty(trained("group_lasso", 1e-9)) == 0
    assert empty(trained("group_lasso", 1e-2, epochs=20)) >= 5


def test_the_penalty_is_on_selected_layers_and_all_are_trained() -> None:
    start = network(normalized).module
    after = trained("l1", 1e-2, only=["0"]).module
    everywhere = trained("l1", 1e-2).module
    assert after.get_parameter("3.weight").abs().sum() > 1.2 * everywhere.get_parameter("3.weight").abs().sum()
    assert not torch.equal(after.get_parameter("3.weight"), start.get_parameter("3.weight"))


def test_what_became_of_each_layer_is_told() -> None:
    given = network(normalized)
    run = run_for(given)
    apply(SparsityTraining(epochs=1), given, run)
    (table,) = run.details.tables()
    assert table.columns == ("layer", "before", "after")
    assert [row[0] for row in table.rows] == ["0", "3"]
