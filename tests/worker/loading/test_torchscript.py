"""Archives that can't become editable, and archives that would become something else."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Invalid, Problem
from app.core.inputs import InputSpec
from app.core.job_files import ModelFile
from app.core.tasks import InspectModel
from tests.worker.jobs import MODEL, compress, silent
from worker.pipeline import perform

GIVEN = ModelFile(
    path=MODEL,
    format="torchscript",
    inputs=(InputSpec(name="x", shape=("batch", 8)),),
    inputs_from="given",
)


class UntilSmall(nn.Module):
    """How often the layer is called depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        rounds = 0
        while bool(x.norm() > 1) and rounds < 3:
            x = self.fc(x) * 0.1
            rounds += 1
        return x


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) + torch.rand_like(x)


class OtherForLargeBatches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 4:
            return self.fc(x) * 2
        return self.fc(x)


def scripted(folder: Path, network: nn.Module) -> Path:
    (folder / "inputs").mkdir()
    (folder / "outputs").mkdir()
    torch.jit.save(torch.jit.script(network.eval()), str(folder / MODEL))
    return folder


def test_control_flow_that_depends_on_data_is_named_and_leaves_parts(tmp_path: Path) -> None:
    facts = perform(InspectModel(model=GIVEN), scripted(tmp_path, UntilSmall()), silent).facts
    assert facts.editable == "partly"
    assert [(part.name, part.editable) for part in facts.parts] == [("fc", True)]
    assert facts.parameters == 72
    assert facts.blocked_by
    assert all(blocker.operator and blocker.advice for blocker in facts.blocked_by)
    assert "dynamic_quantization" not in {one.technique for one in facts.techniques if one.available}


def test_random_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="differently each time"):
        compress(scripted(tmp_path, Random()), (), model=GIVEN, with_data=False)


def test_what_keeps_its_forward_is_written_as_torchscript_only(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="torchscript") as caught:
        compress(scripted(tmp_path, UntilSmall()), (), model=GIVEN, with_data=False)
    assert caught.value.code == "output_unavailable"


def test_a_network_that_was_not_rebuilt_faithfully_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        perform(InspectModel(model=GIVEN), scripted(tmp_path, OtherForLargeBatches()), silent)
    assert caught.value.code == "lift_differs"
