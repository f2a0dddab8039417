"""What techniques tell while they run."""

from dataclasses import replace
from typing import Any

import pytest
from torch import fx, nn

from app.core.details import LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS, MOST_TABLES
from app.core.inputs import InputSpec
from app.core.measurements import Epoch
from app.core.messages import EpochEnded, Message, Progress
from worker.learning_curve import thinned
from worker.network import Network
from worker.run import Run


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def run(told: list[Message]) -> Run:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2)))
    return Run(0, told.append, Network(module, (InputSpec(name="x", shape=("batch", 2)),)))


def epoch(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"epoch": number, "epochs": 99_999, "loss": 0.5, "learning_rate": 0.1, "seconds": 1.0, **fields}


def test_an_epoch_is_told_at_once_and_kept(run: Run, told: list[Message]) -> None:
    run.enter((0, 1), 3)
    run.epoch(**epoch(validation_quality=0.9, metric="accuracy"))
    assert told == [EpochEnded(step=3, epoch=run.epochs[0])]


def test_a_quality_that_is_no_number_is_none(run: Run) -> None:
    run.epoch(**epoch(training_quality=float("inf"), validation_quality=float("nan")))
    assert (run.epochs[0].training_quality, run.epochs[0].validation_quality) == (None, None)


def test_each_step_begins_with_nothing_said(run: Run) -> None:
    run.epoch(**epoch())
    run.detail("Layers", layer="fc")
    run.enter((0, 1), 1)
    assert (run.epochs, run.details.tables()) == ([], ())


def test_progress_does_not_go_back_after_a_copy_of_the_run(run: Run, told: list[Message]) -> None:
    replace(run, seed=1).progress(0.8, "training")
    run.progress(0.5, "writing")
    assert [message.fraction for message in told if isinstance(message, Progress)] == [0.8, 0.8]


def test_rows_of_one_table_may_have_different_columns(run: Run) -> None:
    run.detail("Layers", layer="conv1", kept=32)
    run.detail("Layers", layer="conv2", left_alone_because="it answers")
    (table,) = run.details.tables()
    assert table.columns == ("layer", "kept", "left alone because")
    assert table.rows == (("conv1", 32, None), ("conv2", None, "it answers"))


def test_what_is_too_much_for_a_report_is_counted_or_cut(run: Run) -> None:
    for number in range(MOST_ROWS + 5):
        run.detail("Layers", layer="x" * 1000, ratio=float("nan"), number=number)
    run.detail("Wide", **{f"c{number}": number for number in range(MOST_COLUMNS + 3)})
    for number in range(MOST_TABLES + 3):
        run.detail(f"Table {number}", number=number)
    tables = run.details.tables()
    assert len(tables) == MOST_TABLES
    assert (len(tables[0].rows), tables[0].rows_left_out) == (MOST_ROWS, 5)
    assert tables[0].rows[0] == ("x" * LONGEST_TEXT, None, 0)
    assert len(tables[1].columns) == MOST_COLUMNS


@pytest.mark.parametrize("count", [1, 20, 21, 1000, 12_345])
@pytest.mark.parametrize("kept", [0, 7, -2])
def test_a_long_curve_keeps_its_ends_and_the_epoch_that_was_kept(count: int, kept: int) -> None:
    best = kept % count
    epochs = [Epoch(**epoch(number + 1, best=number == best)) for number in range(count)]
    numbers = [each.epoch for each in thinned(epochs, 20)]
    assert len(numbers) <= 20
    assert numbers == sorted(set(numbers))
    assert {1, best + 1, count} <= set(numbers)
