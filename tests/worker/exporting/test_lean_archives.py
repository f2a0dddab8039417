"""TorchScript archives hold what is needed to run them, and no more."""

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.core.recipes import Step, WeightQuantization
from app.core.uploads import read_model
from tests.worker.jobs import MODEL, compress, job_folder
from tests.worker.networks import CLASSES, NETWORKS, Example


class Undecided(nn.Module):
    """Its archive has to keep its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(20, 30), nn.Linear(30, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.first(x))
        if bool(hidden.mean() > 100.0):
            return self.second(-hidden)
        return self.second(hidden)


EXAMPLES = {"traced": NETWORKS["residual"], "scripted": Example(Undecided, (20,))}
PACKED: tuple[Step, ...] = (WeightQuantization(bits=4),)


def written(folder: Path) -> Path:
    return folder / "outputs/model.torchscript.pt"


@pytest.mark.parametrize("steps", [(), PACKED], ids=["float32", "packed"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_archives_have_no_tables_of_source_lines(name: str, steps: tuple[Step, ...], tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", EXAMPLES[name], scripted=name == "scripted")
    compress(folder, steps, outputs=("torchscript",))
    with zipfile.ZipFile(written(folder)) as archive:
        assert archive.testzip() is None
        assert not [member for member in archive.namelist() if member.endswith(".debug_pkl")]
    assert read_model(written(folder), "model.pt").format == "torchscript"
    assert torch.jit.load(str(written(folder)))(EXAMPLES[name].inputs(3)).shape == (3, CLASSES)


@pytest.mark.parametrize(("name", "steps"), [("traced", ()), ("traced", PACKED), ("scripted", ())])
def test_archives_can_be_sent_again(name: str, steps: tuple[Step, ...], tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", EXAMPLES[name], scripted=name == "scripted")
    compress(folder, steps, outputs=("torchscript",))
    examples = EXAMPLES[name].inputs(3)
    answers = torch.jit.load(str(written(folder)))(examples)
    shutil.copy(written(folder), folder / MODEL)
    compress(folder, (), outputs=("torchscript",))
    torch.testing.assert_close(torch.jit.load(str(written(folder)))(examples), answers)
