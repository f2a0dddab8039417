"""Distillation from outside: what becomes of students of small networks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from app.core.errors import Invalid, Problem
from app.core.inputs import InputSpec
from app.core.recipes import Distillation, MagnitudePruning
from worker.data import Examples, NetworkData
from worker.network import Network
from worker.run import Run
from worker.techniques import apply

COUNT = 256
IMAGES = InputSpec(name="x", shape=("batch", 1, 8, 8))
QUICK = {"epochs": 8, "learning_rate": 5e-3, "batch_size": 32}


class Images(nn.Module):
    def __init__(self, width: int = 8, answers: int = 4) -> None:
        super().__init__()
        self.conv1, self.norm, self.relu = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.fc = nn.Conv2d(width, width, 3), nn.Linear(width, answers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv1(x)))
        return self.fc(self.relu(self.conv2(x)).mean(dim=[2, 3]))


def network(seed: int = 0, **fields: int) -> Network:
    torch.manual_seed(seed)
    return Network(fx.symbolic_trace(Images(**fields).eval()), (IMAGES,))


def textures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Plain, stripes down, stripes across and squares under noise, with which it is."""
    down, across = torch.arange(8) % 2, (torch.arange(8) % 2)[:, None]
    patterns = torch.stack([one.expand(8, 8).float() for one in (torch.zeros(1), down, across, (down + across) % 2)])
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(4, (count,), generator=generator)
    return (2 * patterns[which] + torch.randn(count, 8, 8, generator=generator))[:, None], which


def trained(one: Network) -> Network:
    optimizer = torch.optim.Adam(one.module.parameters(), lr=0.02)
    for number in range(60):
        x, which = textures(64, seed=100 + number)
        optimizer.zero_grad()
        nn.functional.cross_entropy(one.module(x), which).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return one


TEACHER = trained(network())


def examples(count: int, seed: int, labels: np.ndarray | None) -> Examples:
    return Examples({"x": textures(count, seed)[0].numpy()}, labels, np.arange(count))


def data(labels: np.ndarray | None = None) -> NetworkData:
    test_labels = None if labels is None else labels[:64]
    return NetworkData(examples(COUNT, 1, labels), examples(64, 2, test_labels), (IMAGES,))


def run_of(labels: np.ndarray | None = None, **fields: Any) -> Run:
    return Run(0, lambda _message: None, TEACHER, data(labels), **fields)


def distilled(given: Network, run: Run | None = None, **fields: Any) -> Network:
    return apply(Distillation(**(QUICK | fields)), given, run or run_of())


def agreement(student: Network) -> float:
    x, _ = textures(512, seed=3)
    return float((student.run(x)[0].argmax(1) == TEACHER.run(x)[0].argmax(1)).float().mean())


RANDOM_LABELS = np.random.default_rng(0).integers(0, 4, COUNT)
SPOILT = network(seed=1)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"labels": "teacher"},
        {"temperature": 20.0},
        {"hints": True},
        {"attention": True},
        {"relational": True},
        {"progressive": True, "epochs": 4},
        {"start": "scratch"},
    ],
    ids=str,
)
def test_a_student_comes_near_its_teacher_without_labels(fields: dict[str, Any]) -> None:
    assert agreement(distilled(SPOILT, **fields)) > agreement(SPOILT) + 0.2


def test_labels_are_not_looked_at_where_they_are_not_wanted() -> None:
    run = run_of(RANDOM_LABELS)
    first = distilled(SPOILT, run, labels="none", epochs=2)
    second = distilled(SPOILT, run_of(RANDOM_LABELS[::-1].copy()), labels="none", epochs=2)
    with_labels = distilled(SPOILT, run_of(RANDOM_LABELS), epochs=2)
    assert_same(first, second)
    assert {epoch.metric for epoch in run.epochs} == {"agreement"}
    assert not torch.equal(first.module.fc.weight, with_labels.module.fc.weight)


def assert_same(first: Network, second: Network) -> None:
    weights, others = first.module.state_dict(), second.module.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_numbers_are_learned_too() -> None:
    targets = TEACHER.run(torch.from_numpy(data().train.inputs["x"]))[0].numpy()
    student = distilled(SPOILT, run_of(targets), learning_rate=0.03)
    x, _ = textures(64, seed=3)
    error, before = ((one.run(x)[0] - TEACHER.run(x)[0]).square().mean() for one in (student, SPOILT))
    assert error < 0.5 * before


def test_teacher_and_given_network_stay_as_they_are() -> None:
    before = {name: tensor.clone() for name, tensor in TEACHER.module.state_dict().items()}
    given = network(seed=1)
    distilled(given, hints=True, epochs=1)
    assert_same(given, SPOILT)
    assert all(torch.equal(before[name], tensor) for name, tensor in TEACHER.module.state_dict().items())


def test_what_is_learned_beside_stays_out_of_the_student() -> None:
    thin = network(seed=1, width=4)
    student = distilled(thin, hints=True, attention=True, relational=True, epochs=1)
    assert [node.name for node in student.module.graph.nodes] == [node.name for node in thin.module.graph.nodes]
    assert student.module.state_dict().keys() == thin.module.state_dict().keys()


def test_pruned_weights_stay_zero() -> None:
    step = MagnitudePruning(sparsity=0.5)
    pruned = replace(apply(step, SPOILT, run_of()), steps=(step,))
    student = distilled(pruned, epochs=1)
    zeros = pruned.module.conv2.weight == 0
    assert zeros.any()
    assert (student.module.conv2.weight[zeros] == 0).all()
    assert not torch.equal(student.module.conv2.weight, pruned.module.conv2.weight)


def test_layers_can_be_left_alone() -> None:
    student = distilled(SPOILT, exclude=("conv*",), epochs=1)
    assert torch.equal(student.module.conv1.weight, SPOILT.module.conv1.weight)
    assert not torch.equal(student.module.fc.weight, SPOILT.module.fc.weight)


def test_another_model_teaches() -> None:
    other = network(seed=5)
    run = run_of(network_of=lambda _name: network(seed=5))
    student = distilled(SPOILT, run, teacher="model_teacher")
    x, _ = textures(512, seed=3)
    same = (student.run(x)[0].argmax(1) == other.run(x)[0].argmax(1)).float().mean()
    assert same > 0.6


def test_another_model_learns() -> None:
    run = run_of(network_of=lambda _name: network(seed=3, width=6))
    student = distilled(TEACHER, run, student={"model": "model_student"})
    assert student.module.conv1.weight.shape[0] == 6
    assert agreement(student) > 0.5


@pytest.mark.parametrize("start", ["weights", "scratch"])
def test_a_thin_copy_of_the_upload_learns(start: str) -> None:
    step = MagnitudePruning(sparsity=0.99)
    spoilt = replace(apply(step, TEACHER, run_of()), steps=(step,))
    run = run_of()
    student = distilled(spoilt, run, student={"thin": 0.5}, start=start)
    assert [student.module.get_submodule(name).weight.shape[0] for name in ("conv1", "conv2", "fc")] == [4, 4, 4]
    assert agreement(student) > 0.4
    assert any("steps before" in warning for warning in run.warnings)


ARCHITECTURE = {
    "source": "layers",
    "layers": [
        {"type": "Conv2d", "in_channels": 1, "out_channels": 5, "kernel_size": 3, "padding": 1},
        {"type": "ReLU"},
        {"type": "Conv2d", "in_channels": 5, "out_channels": 7, "kernel_size": 3},
        {"type": "ReLU"},
        {"type": "AdaptiveAvgPool2d", "output_size": 1},
        {"type": "Flatten"},
        {"type": "Linear", "name": "fc", "in_features": 7, "out_features": 4},
    ],
}


@pytest.mark.parametrize("fields", [{}, {"hints": True, "attention": True, "progressive": True}], ids=str)
def test_a_described_network_learns_from_random_weights(fields: dict[str, Any]) -> None:
    first, second = (
        distilled(TEACHER, student={"architecture": ARCHITECTURE}, **(fields | {"epochs": 4})) for _ in range(2)
    )
    assert_same(first, second)
    assert first.module.fc.weight.shape == (4, 7)


def refused(run: Run | None = None, **fields: Any) -> Problem:
    with pytest.raises(Invalid) as caught:
        distilled(TEACHER, run, **fields)
    return caught.value


def described(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": {"source": "layers", "layers": layers}}


def test_a_student_that_answers_in_another_shape_is_refused() -> None:
    run = run_of(network_of=lambda _name: network(answers=5))
    problem = refused(run=run, student={"model": "model_student"})
    assert problem.code == "student_does_not_fit"
    assert "(2, 5)" in problem.detail


def test_a_teacher_that_takes_something_else_is_refused() -> None:
    layer = nn.Sequential(nn.Flatten(), nn.Linear(5, 4)).eval()
    other = Network(fx.symbolic_trace(layer), (InputSpec(name="x", shape=("batch", 5)),))
    assert refused(run=run_of(network_of=lambda _name: other), teacher="model_a").code == "student_does_not_fit"


def test_a_description_that_does_not_take_the_inputs_is_refused() -> None:
    student = described({"type": "Linear", "in_features": 3, "out_features": 4})
    assert refused(student=student).code == "inputs_do_not_fit"


@pytest.mark.parametrize("lesson", ["hints", "attention", "progressive"])
def test_a_lesson_without_a_pair_of_layers_is_refused(lesson: str) -> None:
    student = described({"type": "Flatten"}, {"type": "Linear", "in_features": 64, "out_features": 4})
    problem = refused(student=student, **{lesson: True})
    assert problem.code == "no_layer_matches"
    assert lesson in problem.detail


def test_a_loss_that_is_no_number_ends_with_a_code() -> None:
    targets = np.full((COUNT, 4), 1e18, dtype=np.float32)
    with pytest.raises(Problem) as caught:
        distilled(SPOILT, run_of(targets), learning_rate=1.0, optimizer="sgd")
    assert caught.value.code == "training_diverged"
