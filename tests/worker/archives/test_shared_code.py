"""Weights in few bits where modules of an archive that keeps its own forward share their code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.recipes import MixedPrecision, WeightQuantization
from app.core.tasks import Compression
from tests.worker.archives.folders import ArchiveFolder
from tests.worker.jobs import DATA

WIDE = [{"name": "x", "shape": ["batch", 64]}]


class Undecided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(64, 48), nn.Linear(64, 48)

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.mean() > 1000):
            return self.first(x)
        return self.second(x)


@pytest.fixture
def folder(tmp_path: Path) -> ArchiveFolder:
    return ArchiveFolder(tmp_path / "job", Undecided(), WIDE)


def rows(compression: Compression, title: str) -> list[dict[str, object]]:
    tables = [each for each in compression.steps[0].details if each.title == title]
    return [dict(zip(table.columns, row, strict=True)) for table in tables for row in table.rows]


def path_of(name: object) -> str:
    """A submodule that is one layer was rebuilt as a graph of that."""
    return str(name).partition(".")[0]


@pytest.mark.parametrize("drop", [0, 1])
def test_layers_that_share_code_have_the_same_bits_and_the_file_holds_them(drop: int, folder: ArchiveFolder) -> None:
    """Though the first is never called with these examples, so that it could have the fewest alone."""
    examples = np.random.default_rng(0).standard_normal((400, 64)).astype(np.float32)
    np.savez(folder.path / DATA.path, x_train=examples[:300], x_test=examples[300:])
    compression = folder.compressed(MixedPrecision(bits=(2, 8), budget={"max_quality_drop": drop}), data=DATA)
    layers = {path_of(row["layer"]): row for row in rows(compression, "Layers")}
    assert layers.keys() == {"first", "second"}
    assert len({row["bits"] for row in layers.values()}) == 1
    tensors = dict(folder.archive(compression).named_parameters())
    for name, row in layers.items():
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        assert 0 <= int(str(row["bytes"])) - weight.nbytes - bias.nbytes < 300


@pytest.mark.parametrize("fields", [{"only": ("first",)}, {"exclude": ("second*",)}])
def test_where_bits_cannot_be_stored_there_is_an_error_that_says_so(fields: dict, folder: ArchiveFolder) -> None:
    with pytest.raises(Problem) as refused:
        folder.compressed(WeightQuantization(bits=4, **fields))
    assert refused.value.code == "nothing_quantized"
    assert "`first.weight`" in refused.value.detail
    assert "take 8 bits" in refused.value.detail


class Third(Undecided):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, 64, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        encoded = self.encode(x.unsqueeze(1)).mean(1)
        if bool(encoded.mean() > 1000):
            return self.first(encoded)
        return self.second(encoded)


def test_weights_that_cannot_be_stored_in_bits_are_not_rounded(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "job", Third(), WIDE)
    compression = folder.compressed(WeightQuantization(bits=4, exclude=("second*",)))
    assert any("`first.weight`" in warning and "float32" in warning for warning in compression.warnings)
    assert [path_of(row["weight"]) for row in rows(compression, "Weights")] == ["encode"]
    assert torch.equal(folder.archive(compression).first.weight, Third().first.weight)


def test_in_8_bits_each_can_be_packed_for_itself(folder: ArchiveFolder) -> None:
    archive = folder.archive(folder.compressed(WeightQuantization(only=("first",))))
    assert archive.first.weight.dtype is torch.uint8
    assert torch.equal(archive.second.weight, Undecided().second.weight)
