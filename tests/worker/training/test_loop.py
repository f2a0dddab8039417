import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.inputs import InputSpec
from app.core.messages import EpochEnded, Progress
from app.core.recipes.training import TrainingOptions
from tests.worker.training.tasks import accuracy, dataset, network, perceptron, run_for, same, unlabelled, weights
from worker.network import Network
from worker.run import Run
from worker.training import Batch, History, recovery_objective, train
from worker.training.split import split


def options(**fields: Any) -> TrainingOptions:
    return TrainingOptions(**({"epochs": 4, "batch_size": 16, "learning_rate": 0.02} | fields))


def trained(given: Network, run: Run | None = None, *, seed: int = 0, **fields: Any) -> tuple[nn.Module, History]:
    run = run or run_for(given, seed=seed)
    module = copy.deepcopy(given.module)
    return module, train(module, options(**fields), recovery_objective(run), run)


def test_it_learns_from_labels() -> None:
    given = network()
    module, history = trained(given, epochs=20)
    assert accuracy(given.module) < 0.6
    assert accuracy(module) > 0.9
    assert history.epochs[-1].loss < history.epochs[0].loss / 2
    assert not module.training


def test_it_learns_from_a_teacher_where_there_are_no_labels() -> None:
    teacher, _ = trained(network(), epochs=20)
    student = network(seed=1)
    run = run_for(Network(teacher, student.inputs), unlabelled())
    module, history = trained(student, run, epochs=20)
    assert history.metric == "agreement"
    assert history.best.quality > 0.8
    assert accuracy(module) > 0.85


def test_the_same_seed_gives_the_same_weights() -> None:
    given = network(lambda: nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.5), nn.Linear(24, 3)))
    first = weights(trained(given)[0])
    torch.rand(7)  # what ran before doesn't matter
    assert same(first, weights(trained(given)[0]))
    assert not same(first, weights(trained(given, seed=1)[0]))


def test_the_random_numbers_of_others_are_left_alone() -> None:
    given = network()
    before = torch.get_rng_state()
    trained(given)
    assert torch.equal(before, torch.get_rng_state())


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    """A learning rate that spoils everything after the first epoch."""
    given, kept = network(), []
    run = run_for(given)
    module = copy.deepcopy(given.module)
    objective = recovery_objective(run)

    def spoiled(module: nn.Module, batch: Batch) -> Tensor:
        loss = objective(module, batch)
        return loss if len(run.epochs) < 1 else -30 * loss

    def remember() -> None:
        if not run.epochs:
            kept[:] = [weights(module)]

    history = train(module, options(patience=9), spoiled, run, after_step=remember)
    assert history.best_epoch == 1
    assert same(weights(module), kept[0])
    assert [epoch.best for epoch in run.epochs] == [True, False, False, False]


def test_weights_that_no_epoch_betters_stay_as_they_came() -> None:
    good, _ = trained(network(), epochs=12)
    given = Network(good, network().inputs)
    run = run_for(given)
    module = copy.deepcopy(good)
    objective = recovery_objective(run)
    history = train(module, options(), lambda module, batch: -objective(module, batch), run)
    assert history.best_epoch == 0
    assert same(weights(module), weights(good))


def test_the_last_weights_are_kept_where_asked_for() -> None:
    given, seen = network(), []
    run = run_for(given)
    module = copy.deepcopy(given.module)
    objective = recovery_objective(run)
    train(
        module,
        options(),
        lambda module, batch: -objective(module, batch),
        run,
        after_step=lambda: seen.append(weights(module)),
        keep="last",
    )
    assert same(weights(module), seen[-1])


def test_it_ends_early_when_validation_finds_nothing_better() -> None:
    good, _ = trained(network(), epochs=12)
    given = Network(good, network().inputs)
    _, history = trained(given, epochs=50, patience=2, learning_rate=1e-7)
    assert history.ending == "early_stop"
    assert len(history.epochs) == 2
    _, history = trained(given, epochs=5, patience=2, learning_rate=1e-7, early_stop=False)
    assert (history.ending, len(history.epochs)) == ("epochs", 5)


def test_it_ends_when_its_time_is_over() -> None:
    _, history = trained(network(), epochs=1000, seconds=0.05, early_stop=False)
    assert history.ending == "seconds"
    assert len(history.epochs) < 1000


def test_each_epoch_is_told_with_its_qualities() -> None:
    given = network()
    run = run_for(given)
    run.step = 2
    trained(given, run, epochs=2)
    ended = [message for message in run.messages if isinstance(message, EpochEnded)]
    assert [message.epoch.epoch for message in ended] == [1, 2]
    assert {message.step for message in ended} == {2}
    assert ended[0].epoch.metric == "accuracy"
    assert 0 < ended[0].epoch.validation_quality <= 1
    assert 0 < ended[0].epoch.training_quality <= 1
    assert ended[0].epoch.learning_rate > ended[1].epoch.learning_rate > 0


def test_progress_is_told_within_long_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.training.clock.SECONDS_BETWEEN_REPORTS", 0.0)
    given = network()
    run = run_for(given)
    run.enter((0.5, 1.0), 0)
    trained(given, run, epochs=2)
    told = [message.fraction for message in run.messages if isinstance(message, Progress)]
    assert told == sorted(told)
    assert told[0] > 0.5
    assert told[-1] == 1.0


# Validation


def test_validation_examples_are_training_examples_that_are_not_learned() -> None:
    data = dataset()
    parts = split(data.train, 0.25, most=1000)
    assert sorted([*parts.training.rows, *parts.validation.rows]) == list(range(len(data.train)))
    assert len(parts.validation) == 100
    assert set(parts.seen.rows) <= set(parts.training.rows)
    assert parts.validation.rows.tolist() == split(data.train, 0.25, most=1000).validation.rows.tolist()
    assert len(split(data.train, 0.25, most=7).validation) == 7


def test_test_examples_are_never_read() -> None:
    class Forbidden:
        shape, dtype = (60, 6), np.dtype(np.float32)

        def __len__(self) -> int:
            return 60

        def __getitem__(self, rows: object) -> np.ndarray:
            raise AssertionError("test data was read")

    given = network()
    trained(given, run_for(given, dataset(x_test=Forbidden(), y_test=Forbidden())))  # type: ignore[arg-type]


def test_validation_looks_at_no_labels_where_it_must_not() -> None:
    """With labels that are wrong, only a judge that looks at them prefers another network than the upload's twin."""
    given = network()
    run = run_for(given, dataset(y_train=np.zeros(400, np.int64)))
    module = copy.deepcopy(given.module)
    history = train(module, options(epochs=1), recovery_objective(run), run, use_labels=False)
    assert (history.metric, history.best.quality) == ("agreement", 1.0)
    assert history.best_epoch == 0


def test_without_validation_examples_the_last_weights_count() -> None:
    _, history = trained(network(), epochs=2, validation=0)
    assert history.best is None
    assert history.best_epoch == 2


# What bad input gets


def test_a_loss_that_is_no_number_ends_it_with_the_weights_it_came_with() -> None:
    given = network()
    run = run_for(given)
    module = copy.deepcopy(given.module)
    objective, losses = recovery_objective(run), []

    def overflowing(module: nn.Module, batch: Batch) -> Tensor:
        losses.append(1)
        return objective(module, batch) * (float("inf") if len(losses) == 3 else 1.0)

    with pytest.raises(Problem, match=r"at update 3 of epoch 1.*`learning_rate`") as caught:
        train(module, options(), overflowing, run)
    assert caught.value.code == "training_diverged"
    assert same(weights(module), weights(given.module))
    assert not module.training


def test_a_huge_learning_rate_diverges() -> None:
    with pytest.raises(Problem) as caught:
        trained(network(), optimizer="sgd", learning_rate=100, weight_decay=10, epochs=30)
    assert caught.value.code == "training_diverged"


def test_divergence_after_a_better_epoch_is_a_warning() -> None:
    given = network()
    run = run_for(given)
    module = copy.deepcopy(given.module)
    objective = recovery_objective(run)
    history = train(
        module,
        options(),
        lambda module, batch: objective(module, batch) * (float("nan") if run.epochs else 1.0),
        run,
    )
    assert (history.ending, history.best_epoch) == ("diverged", 1)
    assert "at update 1 of epoch 2" in run.warnings[0]
    assert all(bool(tensor.isfinite().all()) for tensor in module.state_dict().values())


def test_data_that_are_no_numbers_are_named_as_the_cause() -> None:
    given = network()
    spoiled = dataset().train.inputs[""].copy()
    spoiled[:] = np.nan
    with pytest.raises(Problem, match="check that the training data holds finite numbers"):
        trained(given, run_for(given, dataset(x_train=spoiled)))


def test_too_few_examples_are_refused() -> None:
    given = network()
    with pytest.raises(Problem) as caught:
        trained(given, run_for(given, dataset(train=1)))
    assert caught.value.code == "too_few_examples"


# Kinds of layers and inputs


def normalized() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3))


@pytest.mark.parametrize("train_examples", [65, 18, 2])
def test_no_batch_is_left_with_a_single_example(train_examples: int) -> None:
    """A batch norm would raise; 0.1 of 18 leaves 16 to learn, 2 leave both."""
    given = network(normalized)
    _, history = trained(given, run_for(given, dataset(train=train_examples)), batch_size=8, validation=0.1)
    assert history.epochs


def test_batch_norms_learn_what_they_see() -> None:
    given = network(normalized)
    module, _ = trained(given)
    assert not torch.equal(module.get_buffer("1.running_mean"), given.module.get_buffer("1.running_mean"))


def test_only_chosen_layers_change() -> None:
    given = network(normalized)
    run = run_for(given)
    module = copy.deepcopy(given.module)
    train(module, options(), recovery_objective(run), run, layers=["3"])
    changed = {
        name for name, tensor in given.module.state_dict().items() if not torch.equal(tensor, weights(module)[name])
    }
    assert changed == {"3.weight", "3.bias"}
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.fc = nn.Embedding(5, 4), nn.Linear(10, 3)

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        return self.fc(torch.cat([self.words(ids).mean(dim=1), x], dim=1))


def test_several_inputs_of_integers_and_floats() -> None:
    specs = (
        InputSpec(name="ids", shape=("batch", 2), dtype="int64", low=0, high=5),
        InputSpec(name="x", shape=("batch", 6)),
    )
    numbers = np.random.default_rng(0)
    data = dataset()
    halves = {
        f"x_{half}.{name}": array
        for half, examples in (("train", data.train), ("test", data.test))
        for name, array in (
            ("x", examples.inputs[""]),
            ("ids", numbers.integers(0, 5, (len(examples), 2), dtype=np.int32)),
        )
    }
    given = network(TwoInputs, *specs)
    named = dataset(x_train=None, x_test=None, **halves)
    module, _ = trained(given, run_for(given, named), epochs=30)
    inputs, labels = named.for_network(specs).test.take(range(60))
    assert float((module(inputs["ids"], inputs["x"]).argmax(1) == labels).float().mean()) > 0.75


def test_several_threads_are_given_back() -> None:
    seen, before = [], torch.get_num_threads()
    given = network(perceptron)
    run = run_for(given)
    train(
        copy.deepcopy(given.module),
        options(threads=before + 1, epochs=1),
        recovery_objective(run),
        run,
        after_step=lambda: seen.append(torch.get_num_threads()),
    )
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
