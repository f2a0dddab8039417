"""The lines that a report prints run as they stand, beside the file that they name."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from app.core.measurements import OutputFormat
from app.core.reports.running import lines_to_run, needed_beside
from app.core.wanted_files import SUFFIXES
from worker.exporting import EXPORTERS
from worker.network import Network


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 4)

    def forward(self, ids: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids).sum(1) * scale


@pytest.mark.parametrize("stem", ["model", "model.float32"])
@pytest.mark.parametrize("file_format", get_args(OutputFormat))
def test_printed_lines_run(
    file_format: OutputFormat, stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = (
        InputSpec(name="ids", shape=("batch", 6), dtype="int64", low=0, high=50),
        InputSpec(name="scale", shape=("batch", 4), dtype="float16"),
    )
    network = Network(fx.symbolic_trace(Tokens().eval()), inputs)
    name = f"{stem}{SUFFIXES[file_format]}"
    companions = EXPORTERS[file_format](network, tmp_path / name)
    assert {path.name for path in companions} == set(needed_beside(name, file_format))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec("\n".join(lines_to_run(name, file_format, inputs)), found)
    assert found["answers"] is not None


def test_an_engine_is_set_before_the_file_is_loaded() -> None:
    """torch lays int8 weights out for it then; set later, it changes nothing."""
    lines = lines_to_run("model.torchscript.pt", "torchscript", (InputSpec(name="x", shape=("batch", 2)),), "onednn")
    assert lines[1] == 'torch.backends.quantized.engine = "onednn"'
    assert "torch.jit.load" in lines[2]
