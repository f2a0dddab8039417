"""What torch records of the inputs that it traced with, as it is read without torch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.core.uploads.traced_inputs import read_traced_inputs


class Summed(nn.Module):
    def forward(self, parts: list[Tensor]) -> Tensor:
        return parts[0] + parts[1]


def test_shapes_and_types_in_the_order_of_arguments(tmp_path: Path) -> None:
    traced = torch.jit.trace(nn.Bilinear(3, 4, 2), (torch.zeros(5, 3), torch.zeros(5, 4)))
    torch.jit.save(traced, tmp_path / "model.pt")
    recorded = read_traced_inputs(tmp_path / "model.pt")
    assert recorded is not None
    assert [(one.shape, one.dtype) for one in recorded] == [((5, 3), "float32"), ((5, 4), "float32")]


@pytest.mark.parametrize(
    "archive",
    [
        lambda: torch.jit.script(nn.Linear(3, 2)),
        lambda: torch.jit.trace(Summed(), ([torch.zeros(2, 3), torch.zeros(2, 3)],), strict=False),
    ],
    ids=["scripted", "a list of tensors"],
)
def test_an_archive_without_a_usable_record_has_none(tmp_path: Path, archive) -> None:
    torch.jit.save(archive(), tmp_path / "model.pt")
    assert read_traced_inputs(tmp_path / "model.pt") is None
