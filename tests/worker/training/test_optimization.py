from math import cos, pi

import pytest
import torch
from torch import nn

from app.core.recipes.training import TrainingOptions
from worker.training.optimization import optimizer_for, schedule_for


def rates(**fields) -> list[float]:
    options = TrainingOptions(learning_rate=1.0, **fields)
    optimizer = optimizer_for(nn.Linear(2, 2), options)
    schedule = schedule_for(optimizer, options, updates=8)
    found = []
    for _ in range(8):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0] * 8),
        ("linear", [1 - update / 8 for update in range(8)]),
        ("cosine", [(1 + cos(pi * update / 8)) / 2 for update in range(8)]),
        ("step", [1.0] * 4 + [0.1] * 2 + [0.01] * 2),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule: str, expected: list[float]) -> None:
    assert rates(learning_rate_schedule=schedule) == pytest.approx(expected)


def test_the_learning_rate_rises_during_warm_up() -> None:
    assert rates(learning_rate_schedule="constant", warm_up=0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_that_was_asked_for(name: str, kind: type) -> None:
    assert type(optimizer_for(nn.Linear(2, 2), TrainingOptions(optimizer=name))) is kind


def test_momentum_is_that_of_sgd() -> None:
    optimizer = optimizer_for(nn.Linear(2, 2), TrainingOptions(optimizer="sgd", momentum=0.5))
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}


@pytest.mark.parametrize(
    ("fields", "decay"),
    [
        ({}, 0.01),
        ({"optimizer": "sgd"}, 0.0),
        ({"optimizer": "sgd", "weight_decay": 0.3}, 0.3),
        ({"weight_decay": 0}, 0),
    ],
)
def test_weights_decay_and_biases_do_not(fields: dict, decay: float) -> None:
    layer = nn.Linear(2, 2)
    groups = optimizer_for(layer, TrainingOptions(**fields)).param_groups
    decays = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decays == {layer.weight: decay, layer.bias: 0.0}
