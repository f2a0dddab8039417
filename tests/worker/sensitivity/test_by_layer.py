"""One layer changed at a time, and what its network answers then."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from app.core.recipes import MagnitudePruning
from app.core.sensitivities import LayerSensitivity, Sensitivity
from app.core.tasks import MeasureSensitivity
from tests.worker.archives.folders import VECTORS, ArchiveFolder
from tests.worker.archives.odd_networks import Remembering
from tests.worker.jobs import DATA, MODEL, compress, inspected, job_folder, measured, save_data, sha256, silent
from tests.worker.networks import CLASSES, NETWORKS, Example
from worker.pipeline import perform


def found(folder: Path, *, with_data: bool = True, seed: int = 0, seconds: float = 600) -> Sensitivity:
    model, _ = inspected(folder, with_data=with_data)
    task = MeasureSensitivity(model=model, dataset=DATA if with_data else None, seed=seed, seconds=seconds)
    return perform(task, folder, silent)


def rows(sensitivity: Sensitivity, **wanted: Any) -> list[LayerSensitivity]:
    return [r for r in sensitivity.layers if all(getattr(r, name) == value for name, value in wanted.items())]


def test_every_layer_is_changed_in_every_way(tmp_path: Path) -> None:
    sensitivity = found(job_folder(tmp_path / "job", NETWORKS["cnn"]))
    ways = {(row.technique, row.amount) for row in rows(sensitivity, layer="conv2")}
    assert ways == {
        *(
            (technique, ratio)
            for technique in ("structured_pruning", "magnitude_pruning")
            for ratio in (0.25, 0.5, 0.75)
        ),
        *(("weight_quantization", bits) for bits in (8, 4, 2)),
    }
    assert sensitivity.complete
    assert {row.layer for row in sensitivity.layers} == {"conv1", "conv2", "fc"}
    # The answers' own width stays.
    assert not rows(sensitivity, layer="fc", technique="structured_pruning")


def test_the_more_goes_the_further_off_answers_are(tmp_path: Path) -> None:
    sensitivity = found(job_folder(tmp_path / "job", NETWORKS["cnn"]))
    for technique, amounts in (("structured_pruning", (0.25, 0.75)), ("weight_quantization", (8, 2))):
        less, more = (rows(sensitivity, layer="conv1", technique=technique, amount=amount)[0] for amount in amounts)
        assert less.error < more.error
        assert less.kl_divergence < more.kl_divergence


def test_layers_that_must_lose_the_same_units_are_named(tmp_path: Path) -> None:
    sensitivity = found(job_folder(tmp_path / "job", NETWORKS["residual"]))
    (tied,) = rows(sensitivity, layer="blocks.0.conv2", technique="structured_pruning", amount=0.5)
    assert tied.tied == ("blocks.0.shortcut",)


def test_a_row_is_what_that_step_alone_does_to_the_file(tmp_path: Path) -> None:
    """Where test examples are those that the row was measured on."""
    example = NETWORKS["mlp"]
    folder = job_folder(tmp_path / "job", example)
    x = example.inputs(40, seed=2).numpy()
    save_data(folder / DATA.path, example, x_train=x, x_test=x, y_test=np.arange(len(x)) % CLASSES)
    (row,) = rows(found(folder), layer="2", technique="magnitude_pruning", amount=0.75)
    model, _ = inspected(folder)
    compression = compress(folder, (MagnitudePruning(sparsity=0.75, only=("2",)),), model=model)
    by_role = {file.role: file for file in compression.files}
    measured(folder, model, by_role["upload"])
    quality = measured(folder, model, by_role["artifact"]).quality
    assert (quality.value, quality.agreement) == (row.quality, row.agreement)
    assert quality.kl_divergence == pytest.approx(row.kl_divergence, rel=1e-3)


def test_the_same_seed_finds_the_same_and_leaves_the_upload_as_it_was(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    upload = sha256(folder / MODEL)
    assert found(folder) == found(folder)
    assert sha256(folder / MODEL) == upload


def test_when_time_is_over_what_was_found_is_told(tmp_path: Path) -> None:
    sensitivity = found(job_folder(tmp_path / "job", NETWORKS["mlp"]), seconds=0)
    assert not sensitivity.complete
    assert sensitivity.layers == ()
    assert any("Time was enough for 0 of" in warning for warning in sensitivity.warnings)


def test_without_data_random_inputs_are_marked_as_such(tmp_path: Path) -> None:
    sensitivity = found(job_folder(tmp_path / "job", NETWORKS["mlp"]), with_data=False)
    assert (sensitivity.baseline.metric, sensitivity.baseline.value) == ("agreement", 1.0)
    assert sensitivity.baseline.synthetic
    assert any("random inputs" in warning for warning in sensitivity.warnings)


def test_archives_that_keep_their_forward_lose_weights_and_bits(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "job", Remembering(), VECTORS)
    task = MeasureSensitivity(model=folder.model, dataset=None, seed=0, seconds=600)
    sensitivity: Sensitivity = perform(task, folder.path, silent)
    assert {row.technique for row in sensitivity.layers} == {"magnitude_pruning", "weight_quantization"}


def test_a_change_that_makes_answers_infinite_is_left_out(tmp_path: Path) -> None:
    class Dividing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.top, self.bottom = nn.Linear(8, 16), nn.Linear(8, 16, bias=False)
            torch.nn.init.constant_(self.bottom.weight, 1e-3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.top(x) / self.bottom(x).abs()

    example = Example(Dividing, (8,))
    sensitivity = found(job_folder(tmp_path / "job", example))
    assert sensitivity.complete
    assert rows(sensitivity, layer="top", amount=2)
    assert not rows(sensitivity, layer="bottom", technique="magnitude_pruning", amount=0.75)
