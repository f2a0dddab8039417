"""Programs as torch.export writes them are read; those of the corpus are of the kind that torch takes, good and bad."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from app.core.uploads import read_model
from tests.core.uploads.pickle_builder import MARK, MARKER, MARKING, torch_zip
from tests.core.uploads.program_builder import exported_program, graph, model

pytestmark = [
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights:UserWarning"),
]


class Resampled(nn.Module):
    """Sizes that are formulas, infinity as an argument, a block without gradients, nested answers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2)
        self.norm = nn.BatchNorm2d(2)
        self.register_buffer("shift", torch.arange(2.0), persistent=False)
        self.scale = torch.tensor([2.0])

    def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
        y = self.norm(self.conv(x))
        with torch.no_grad():
            mean = y.mean()
        masked = y.masked_fill(y > mean, float("-inf"))
        halved = nn.functional.interpolate(masked, scale_factor=0.5, mode="nearest")
        rows = y.reshape(x.shape[0], -1, 2) * self.scale + self.shift
        return {"halved": halved, "rest": [rows, x[:, :, : x.shape[2] // 2]]}


def resampled() -> ExportedProgram:
    sizes = {0: Dim("batch"), 2: Dim.AUTO}
    return torch.export.export(Resampled().eval(), (torch.ones(2, 1, 16, 9),), dynamic_shapes=(sizes,))


def recurrent() -> ExportedProgram:
    return torch.export.export(nn.LSTM(3, 4, batch_first=True).eval(), (torch.ones(2, 5, 3),))


def half_precision() -> ExportedProgram:
    tied = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    return torch.export.export(tied.to(torch.bfloat16), (torch.ones(2, 4, dtype=torch.bfloat16),))


@pytest.mark.parametrize("make", [resampled, recurrent, half_precision])
@pytest.mark.parametrize("decomposed", [False, True])
def test_programs_as_torch_writes_them(tmp_path: Path, make: Callable[[], ExportedProgram], decomposed: bool) -> None:
    program = make()
    path = tmp_path / "model.pt2"
    torch.export.save(program.run_decompositions() if decomposed else program, path, extra_files={"about.txt": "mine"})
    assert read_model(path, "model.pt2").format == "exported_program"


def test_the_corpus_is_built_on_a_program_that_torch_runs(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(exported_program())
    answer = torch.export.load(path).module(check_guards=False)(torch.tensor([[2.0, 3.0]]))
    assert answer.tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize(
    "content",
    [
        exported_program(model(graph=graph(f"__import__('os').system({MARK!r})"))),
        exported_program(examples=torch_zip(MARKING)),
    ],
    ids=["size", "examples"],
)
def test_what_the_corpus_holds_runs_where_it_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt2"
    path.write_bytes(content)
    with pytest.raises(Exception):  # noqa: B017  what follows is torch's own affair
        torch.export.load(path)
    assert (tmp_path / MARKER).exists()
