"""An operator that a format or its runtime lacks: it is named, and the other formats are delivered."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.recipes import (
    DynamicQuantization,
    MagnitudePruning,
    QuantizationAwareTraining,
    StaticQuantization,
    Step,
    WeightQuantization,
)
from app.core.tasks import Candidate, Compress
from tests.worker.jobs import DATA, compress, file_of, inspected, job_folder, measured, silent
from tests.worker.networks import CLASSES, NETWORKS, Example
from worker.pipeline import perform

PRUNING = MagnitudePruning(sparsity=0.3)


class Between(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(20, 16)
        self.head = nn.Linear(16, CLASSES)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self.fc(x)))


def second_smallest(x: Tensor) -> Tensor:
    """ONNX has no such operator."""
    return x - torch.kthvalue(x, 2, 1, True)[0]


def in_double(x: Tensor) -> Tensor:
    """ONNX Runtime has no kernel for this one in float64."""
    return torch.nn.functional.gelu(x.double()).float()


LACKING = [(second_smallest, "aten::kthvalue"), (in_double, "Erf")]


@pytest.mark.parametrize(("function", "operator"), LACKING, ids=lambda each: getattr(each, "__name__", None))
@pytest.mark.parametrize("outputs", [("onnx", "torchscript"), ("state_dict", "onnx")], ids="-".join)
def test_the_format_is_left_out_with_a_warning(
    function: Callable[[Tensor], Tensor], operator: str, outputs: tuple[str, ...], tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(function), (20,)))
    model, _ = inspected(folder)
    compression = compress(folder, (PRUNING, WeightQuantization()), outputs=outputs, model=model)
    (warning,) = (each for each in compression.warnings if each.startswith("onnx was left out."))
    assert operator in warning
    assert {file.format for file in compression.files if file.role == "artifact"} == set(outputs) - {"onnx"}
    measured(folder, model, compression.files[0])
    written = next(file for file in compression.files if file.role == "artifact")
    assert measured(folder, model, written).verified.loaded


def test_a_job_for_nothing_else_fails_with_the_operators_name(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(second_smallest), (20,)))
    with pytest.raises(Problem, match="aten::kthvalue") as caught:
        compress(folder, (PRUNING,))
    assert caught.value.code == "export_failed"


OPERATORS_WITHOUT_ONNX = [(torch.special.i0e, "aten::special_i0e"), (torch.lgamma, "aten::lgamma")]


@pytest.mark.parametrize(("function", "operator"), OPERATORS_WITHOUT_ONNX)
@pytest.mark.parametrize("technique", [StaticQuantization, QuantizationAwareTraining])
def test_static_int8_in_torchscript_names_the_file_that_it_lacks(
    function: Callable[[Tensor], Tensor], operator: str, technique: type[Step], tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(function), (20,)))
    with pytest.raises(Problem, match=f"^{technique().technique} is calibrated by the network's ONNX file") as caught:
        compress(folder, (technique(),), outputs=("onnx", "torchscript", "openvino"))
    assert operator in caught.value.detail
    assert "as torchscript" not in caught.value.detail
    assert "take dynamic_quantization or weight_quantization" in caught.value.detail


def test_static_int8_in_torchscript_names_what_onnx_runtime_lacks(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(in_double), (20,)))
    with pytest.raises(Problem, match=r"calibrated by the network's ONNX file.* compute its operator Erf"):
        compress(folder, (StaticQuantization(),), outputs=("onnx", "torchscript"))


@pytest.mark.parametrize("step", [DynamicQuantization(), WeightQuantization()], ids=lambda each: each.technique)
def test_what_is_to_be_taken_instead_is_delivered(step: Step, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(torch.special.i0e), (20,)))
    compression = compress(folder, (step,), outputs=("onnx", "torchscript"))
    assert {file.format for file in compression.files if file.role == "artifact"} == {"torchscript"}


def test_what_is_tried_is_tried_in_the_other_formats(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", Example(lambda: Between(second_smallest), (20,)))
    model, _ = inspected(folder)
    candidates = tuple(Candidate(precision="float32", output=name, steps=()) for name in ("onnx", "torchscript"))
    task = Compress(
        model=model, dataset=DATA, steps=(PRUNING,), outputs=("onnx", "torchscript"), candidates=candidates, seed=0
    )
    compression = perform(task, folder, silent)
    assert file_of(compression, "step-0.torchscript.pt").role == "step"
    assert {file.name for file in compression.files if file.precision} == {"model.float32.torchscript.pt"}
    assert sum("left out" in warning for warning in compression.warnings) == 1


@pytest.mark.parametrize("outputs", [("openvino", "onnx"), ("onnx", "openvino")], ids="-".join)
def test_a_format_without_integers_for_these_layers_is_left_out(outputs: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    folder = job_folder(tmp_path / "job", NETWORKS["lstm"])
    compression = compress(folder, (WeightQuantization(only=("lstm",)),), outputs=outputs)
    assert any(each.startswith("openvino was left out. After weight_quantization") for each in compression.warnings)
    assert file_of(compression, "model.onnx").role == "artifact"
    assert not any(file.role == "artifact" and file.format == "openvino" for file in compression.files)
