"""TorchScript archives that compute in bfloat16."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from app.core.errors import Problem
from app.core.recipes import FloatCasting, MagnitudePruning, StaticQuantization
from app.core.recipes.base import StepBase
from app.core.tasks import Compression
from tests.core.test_submissions import facts_with
from tests.worker.jobs import compress, file_of, inspected, job_folder, measured, save_torchscript
from tests.worker.networks import NETWORKS, Example
from worker.evaluation.answers import relative_error
from worker.evaluation.runtimes import ArchiveRuntime, Array

COMPUTED = FloatCasting(dtype="bfloat16", compute="bfloat16")
BY_TRIAL = FloatCasting(dtype="bfloat16")
TRIAL, INSTRUCTIONS, RUNTIME = (
    f"worker.techniques.torchscript_bfloat16.{name}"
    for name in ("milliseconds_in_turns", "is_computed_here", "ArchiveRuntime")
)


class MaskedInFloat32(nn.Module):
    """Attention scores that the network itself makes float32."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(6, 8), nn.Linear(6, 8)
        self.register_buffer("mask", torch.full((10, 10), -1e4).triu(1))
        self.norm = nn.LayerNorm(8)

    def forward(self, series: Tensor) -> Tensor:
        query, value = self.query(series), self.value(series)
        scores = torch.softmax((query @ query.transpose(1, 2)).float() + self.mask, dim=-1)
        return self.norm(scores @ value).mean(dim=1)


KINDS = NETWORKS | {"masked": Example(MaskedInFloat32, (10, 6))}


def written(folder: Path, example: Example, *steps: StepBase) -> Compression:
    return compress(job_folder(folder / "job", example), steps, outputs=("torchscript",))


def archive(folder: Path) -> torch.jit.ScriptModule:
    return torch.jit.load(folder / "job" / "outputs" / "model.torchscript.pt").eval()


def types(folder: Path) -> dict[str, torch.dtype]:
    return {name: one.dtype for name, one in archive(folder).named_parameters()}


def error(example: Example, answers: Tensor, inputs: Tensor) -> float:
    with torch.no_grad():
        return relative_error(answers.numpy(), example.network()(inputs).numpy())


@pytest.mark.parametrize("kind", ["residual", "lstm", "transformer", "masked"])
def test_every_kind_of_network_computes_in_it(kind: str, tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS[kind], COMPUTED)
    inputs = KINDS[kind].inputs(5)
    answers = archive(tmp_path)(inputs)
    assert answers.dtype is torch.float32
    assert 1e-7 < error(KINDS[kind], answers, inputs) < 5e-3
    assert {one for name, one in types(tmp_path).items() if "norm" not in name} == {torch.bfloat16}
    model = inspected(tmp_path / "job")[0]
    measured(tmp_path / "job", model, compression.files[0])
    assert measured(tmp_path / "job", model, file_of(compression, "model.torchscript.pt")).arithmetic == ("bfloat16",)


def test_norms_keep_float32(tmp_path: Path) -> None:
    written(tmp_path, KINDS["transformer"], COMPUTED)
    norms = {one for name, one in types(tmp_path).items() if "norm" in name}
    assert norms == {torch.float32}


def test_layers_that_are_left_out_compute_in_float32(tmp_path: Path) -> None:
    written(tmp_path, KINDS["cnn"], FloatCasting(dtype="bfloat16", compute="bfloat16", exclude=("fc",)))
    found = types(tmp_path)
    assert (found["fc.weight"], found["conv1.weight"]) == (torch.float32, torch.bfloat16)
    inputs = KINDS["cnn"].inputs(5)
    assert error(KINDS["cnn"], archive(tmp_path)(inputs), inputs) < 5e-3


def test_it_goes_beside_layers_in_int8(tmp_path: Path) -> None:
    compression = written(tmp_path, KINDS["cnn"], StaticQuantization(only=("conv2",)), COMPUTED)
    inputs = KINDS["cnn"].inputs(5)
    assert error(KINDS["cnn"], archive(tmp_path)(inputs), inputs) < 0.05
    model = inspected(tmp_path / "job")[0]
    measured(tmp_path / "job", model, compression.files[0])
    found = measured(tmp_path / "job", model, file_of(compression, "model.torchscript.pt"))
    assert found.arithmetic == ("int8", "bfloat16")


def test_a_file_of_another_network_is_not_taken_for_lost_digits(tmp_path: Path) -> None:
    """One of equal shapes, whose first layer has its outputs in another order."""
    compression = written(tmp_path, KINDS["mlp"], COMPUTED)
    folder = tmp_path / "job"
    model = inspected(folder)[0]
    measured(folder, model, compression.files[0])
    file = file_of(compression, "model.torchscript.pt")
    loaded = torch.jit.load(folder / file.path)
    first = next(loaded.parameters())
    with torch.no_grad():
        first.copy_(first.flip(0))
    torch.jit.save(loaded, str(folder / file.path))
    with pytest.raises(Problem, match="mean squared error of its answers") as refused:
        measured(folder, model, file)
    assert refused.value.code == "artifact_differs"


def test_a_network_that_needs_more_digits_is_told_so(tmp_path: Path) -> None:
    """What matters is a thousandth of what stands beside it; by a trial it stays in float32."""
    folder = job_folder(tmp_path / "job", KINDS["mlp"])
    network = KINDS["mlp"].network()
    with torch.no_grad():
        network[0].bias.add_(1000)
        network[2].bias.sub_(network[2].weight.sum(1) * 1000)
    save_torchscript(folder / "inputs/model.pt", network, KINDS["mlp"])
    compression = compress(folder, (COMPUTED,), outputs=("torchscript",))
    model = inspected(folder)[0]
    measured(folder, model, compression.files[0])
    with pytest.raises(Problem, match="set `compute` to float32"):
        measured(folder, model, file_of(compression, "model.torchscript.pt"))


def timed(*milliseconds: float) -> object:
    def in_turns(calls: Sequence[object]) -> list[float]:
        assert len(calls) == len(milliseconds)
        return list(milliseconds)

    return in_turns


@pytest.mark.parametrize(("in_it", "stored", "wins"), [(1.0, 2.0, True), (1.0, 1.05, False), (2.0, 1.0, False)])
def test_a_trial_decides(
    in_it: float, stored: float, wins: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRIAL, timed(in_it, stored))
    monkeypatch.setattr(INSTRUCTIONS, lambda _arithmetic: True)
    compression = written(tmp_path, KINDS["mlp"], BY_TRIAL)
    assert set(types(tmp_path).values()) == {torch.bfloat16}
    assert ("15" in archive(tmp_path).code) is wins
    weights, trials = compression.steps[0].details
    assert weights.title == "Weights"
    assert [row[-1] for row in trials.rows] == [wins, not wins]


def test_without_instructions_nothing_is_tried_and_what_is_asked_for_comes_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(INSTRUCTIONS, lambda _arithmetic: False)
    (table,) = written(tmp_path / "tried", KINDS["mlp"], BY_TRIAL).steps[0].details
    assert table.title == "Weights"
    assert "15" not in archive(tmp_path / "tried").code
    asked = written(tmp_path / "asked", KINDS["mlp"], COMPUTED)
    assert any("no instructions for bfloat16" in warning for warning in asked.warnings)


def test_what_cannot_be_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match="set `dtype`"):
        FloatCasting(compute="bfloat16")
    assert COMPUTED.held_by() == ("torchscript", "openvino")
    facts = facts_with("Conv2d")
    assert COMPUTED.unfit_for(facts) is None
    assert BY_TRIAL.unfit_for(facts.model_copy(update={"editable": "partly"})) is None
    assert "editable as a whole" in str(COMPUTED.unfit_for(facts.model_copy(update={"editable": "partly"})))


def test_files_are_timed_before_they_are_called_with_other_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their layers in int8 may stay made for the first one."""
    called, called_before = list[int](), list[list[int]]()

    class Told(ArchiveRuntime):
        def __call__(self, inputs: Sequence[Tensor]) -> list[Array]:
            called.append(len(inputs[0]))
            return super().__call__(inputs)

    def timed(calls: Sequence[object]) -> list[float]:
        called_before.append(called.copy())
        return [1.0 for _ in calls]

    monkeypatch.setattr(RUNTIME, Told)
    monkeypatch.setattr(TRIAL, timed)
    monkeypatch.setattr(INSTRUCTIONS, lambda _arithmetic: True)
    written(tmp_path, NETWORKS["mlp"], StaticQuantization(only=("0",)), BY_TRIAL)
    assert called_before == [[]]
    assert called


def uploaded_again(folder: Path) -> Path:
    (folder / "job/outputs/model.torchscript.pt").rename(folder / "job/inputs/model.pt")
    return folder / "job"


@pytest.mark.parametrize("kind", ["residual", "lstm", "transformer", "masked"])
def test_what_computes_in_it_is_compressed_again(kind: str, tmp_path: Path) -> None:
    """All of it, and in float32, for which every format has kernels."""
    written(tmp_path, KINDS[kind], COMPUTED)
    folder = uploaded_again(tmp_path)
    model, inspection = inspected(folder)
    assert inspection.facts.editable == "whole"
    compression = compress(folder, (MagnitudePruning(sparsity=0.1),), outputs=("onnx", "torchscript"), model=model)
    assert any("computed in float32" in each for each in compression.warnings)
    assert set(types(tmp_path).values()) == {torch.float32}
    for name in ("upload.torchscript.pt", "model.onnx", "model.torchscript.pt"):
        measured(folder, model, file_of(compression, name))
    unpruned, inputs = torch.jit.load(folder / "outputs/upload.torchscript.pt"), KINDS[kind].inputs(5)
    assert error(KINDS[kind], unpruned(inputs).detach(), inputs) < 5e-3
    assert "aten::to(" not in str(unpruned.inlined_graph)


def test_what_computes_in_it_and_in_int8_is_changed_in_its_values(tmp_path: Path) -> None:
    written(tmp_path, KINDS["cnn"], StaticQuantization(only=("conv2",)), COMPUTED)
    folder = uploaded_again(tmp_path)
    model, inspection = inspected(folder)
    assert inspection.facts.outputs == ("torchscript",)
    compression = compress(folder, (MagnitudePruning(sparsity=0.01),), outputs=("torchscript",), model=model)
    assert not any("computed in float32" in each for each in compression.warnings)
    for file in compression.files:
        measured(folder, model, file)
    inputs = KINDS["cnn"].inputs(5)
    assert error(KINDS["cnn"], archive(tmp_path)(inputs), inputs) < 0.1
