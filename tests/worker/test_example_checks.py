"""Calibration data that no range can be found in."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.core.errors import Invalid
from app.core.recipes import MagnitudePruning, StaticQuantization, Step, StructuredPruning, WeightQuantization
from tests.worker.jobs import DATA, compress, inspected, job_folder, save_data
from tests.worker.networks import NETWORKS
from worker.example_checks import Spread

CNN = NETWORKS["cnn"]
STATIC = StaticQuantization()
LEARNING: list[Step] = [
    STATIC,
    StaticQuantization(calibration="entropy", rounding="adaround"),
    WeightQuantization(bits=4, method="gptq"),
    StructuredPruning(criterion="taylor"),
]


def refused(folder: Path, step: Step, x_train: np.ndarray) -> Invalid:
    job_folder(folder, CNN)
    save_data(folder / DATA.path, CNN, x_train=x_train)
    model, _ = inspected(folder)
    with pytest.raises(Invalid) as caught:
        compress(folder, (step,), model=model)
    return caught.value


@pytest.mark.parametrize("step", LEARNING, ids=lambda step: f"{step.technique}")
@pytest.mark.parametrize("value", [np.nan, np.inf], ids=str)
def test_examples_that_are_not_finite_are_refused(step: Step, value: float, tmp_path: Path) -> None:
    images = CNN.inputs(40, seed=2).numpy()
    images[3, 0, 5] = value
    refusal = refused(tmp_path / "job", step, images)
    assert refusal.code == "calibration_not_finite"
    assert "NaN or infinity in images" in refusal.detail


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_examples_of_zero_range_are_refused(value: float, tmp_path: Path) -> None:
    refusal = refused(tmp_path / "job", STATIC, np.full((40, 3, 12, 12), value, dtype=np.float32))
    assert refusal.code == "calibration_without_range"
    assert f"images is {value} throughout" in refusal.detail


@pytest.mark.parametrize("step", [STATIC, WeightQuantization(bits=4, method="gptq")], ids=lambda step: step.technique)
def test_examples_beyond_all_measure_are_refused(step: Step, tmp_path: Path) -> None:
    refusal = refused(tmp_path / "job", step, 1e37 * CNN.inputs(40, seed=2).numpy())
    assert refusal.code == "calibration_too_large"


def test_a_mask_among_several_inputs_may_stand_for_infinity() -> None:
    spread = Spread()
    spread.see({"ids": torch.arange(5), "mask": torch.full((5,), -3.4e38)})
    spread.check()


def test_what_learns_nothing_from_them_does_not_care(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", CNN)
    save_data(folder / DATA.path, CNN, x_train=np.zeros((40, 3, 12, 12), dtype=np.float32))
    compress(folder, (MagnitudePruning(sparsity=0.3), WeightQuantization()))
