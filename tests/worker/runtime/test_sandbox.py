"""What a child can't do: the self-test's acts, and files with hostile code."""

from pathlib import Path

import pytest
import torch

from app.core.job_files import ModelFile
from app.core.sandbox import SandboxReport
from app.core.tasks import Compress, InspectModel
from tests.worker.runtime.conftest import TASK, Run
from worker.failures import ChildFailure
from worker.sandbox import landlock, level, seccomp
from worker.sandbox.self_test import self_test

TORCHSCRIPT = InspectModel(model=ModelFile(path="inputs/model.pt", format="torchscript"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> SandboxReport:
    if level().name != "full":
        pytest.skip("this kernel has no Landlock or no seccomp")
    return self_test(tmp_path_factory.mktemp("data"))


def test_each_forbidden_act_is_refused_and_each_needed_one_works(report: SandboxReport) -> None:
    assert [result for result in report.results if not result.ok] == []
    assert report.ok
    assert {result.expected for result in report.results} == {"refused", "works"}


def test_each_forbidden_act_works_without_the_sandbox(report: SandboxReport) -> None:
    """So that a refusal is known to come from the sandbox."""
    forbidden = [result for result in report.results if result.expected == "refused"]
    assert [result for result in forbidden if result.without_sandbox != "works"] == []


def test_the_self_test_tells_of_a_sandbox_that_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.sandbox.self_test._examine", _examine_without_walls)
    failing = self_test(tmp_path)
    assert not failing.ok
    seen = {result.act: result.seen for result in failing.results}
    assert seen["read /etc/passwd"] == seen["fork"] == "works"


def _examine_without_walls(*arguments: object) -> None:
    from worker.sandbox import self_test as module

    module.enter = lambda folder, disk_mb: level()  # type: ignore[attr-defined,assignment]
    module._examine(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("abi", "filters", "name", "missing"),
    [
        (7, True, "full", ()),
        (2, True, "full", ("Landlock 3", "Landlock 4", "Landlock 6")),
        (0, True, "partial", ("Landlock (",)),
        (7, False, "partial", ("seccomp",)),
        (0, False, "none", ("seccomp", "Landlock (")),
    ],
)
def test_the_level_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, abi: int, filters: bool, name: str, missing: tuple[str, ...]
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: abi)
    monkeypatch.setattr(seccomp, "available", lambda: filters)
    found = level()
    assert found.name == name
    assert len(found.missing) == len(missing)
    assert all(text.startswith(start) for text, start in zip(found.missing, missing, strict=True))


def test_without_landlock_a_models_own_code_is_refused_unless_allowed(run: Run) -> None:
    with pytest.raises(ChildFailure, match="MODELPRESS_ALLOW_UNSANDBOXED") as caught:
        run("older_kernel:landlock_0", TORCHSCRIPT)
    assert caught.value.code == "sandbox_missing"
    with pytest.raises(ChildFailure) as caught:
        run("older_kernel:landlock_0", TORCHSCRIPT, allow_unsandboxed=True)
    assert caught.value.code == "bad_answer", "it ran, and answered with facts of a data set"
    run("older_kernel:landlock_0")


def test_nor_is_that_of_a_model_that_a_step_names(run: Run) -> None:
    weights = ModelFile(path="inputs/weights", format="safetensors")
    named = {"model_a": ModelFile(path="inputs/model_a", format="torchscript")}
    task = Compress(model=weights, models=named, dataset=None, steps=(), outputs=("onnx",), seed=0)
    with pytest.raises(ChildFailure) as caught:
        run("older_kernel:landlock_0", task)
    assert caught.value.code == "sandbox_missing"


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_each_version_of_landlock_hides_what_is_outside(run: Run, version: int) -> None:
    """With the rights that this version knows; a newer kernel takes those of an older one."""
    run(f"older_kernel:landlock_{version}", TASK)
    written = {str(path.relative_to(run.folder.parent)) for path in run.folder.parent.rglob("*here")}
    assert written == {"job/outputs/here"}


def test_without_landlock_a_file_outside_can_be_written(run: Run) -> None:
    """So that the test above is known to show Landlock's work."""
    run("older_kernel:landlock_0", TASK)
    assert (run.folder.parent / "there").exists()


class Honest(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class WritesInForward(torch.nn.Module):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.target)
        return x


class WritesWhenLoaded(torch.nn.Module):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.target, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.target = state[0]
        self.training = state[1]
        torch.save(torch.ones(1), self.target)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_an_honest_model_runs(run: Run) -> None:
    torch.jit.script(Honest()).save(run.folder / "inputs" / "model.pt")
    run("load_torchscript")


@pytest.mark.parametrize("hostile", [WritesInForward, WritesWhenLoaded])
@pytest.mark.parametrize("place", ["beside.pt", "job/inputs/planted.pt", "job/task.json"])
def test_a_hostile_model_leaves_nothing_behind(run: Run, hostile: type, place: str) -> None:
    target = run.folder.parent / place
    model = run.folder / "inputs" / "model.pt"
    torch.jit.script(hostile(str(target))).save(model)

    _load_here(model)
    assert target.read_bytes().startswith(b"PK"), "without the sandbox the file is written"
    target.unlink()

    run("load_torchscript")
    assert not target.exists() or not target.read_bytes().startswith(b"PK")
    assert list((run.folder / "outputs").iterdir()) == []


def _load_here(model: Path) -> None:
    torch.jit.load(model)(torch.ones(1, 2))


def test_a_model_can_not_take_the_service_down_by_reading_out_of_bounds(run: Run) -> None:
    class ReadsOutOfBounds(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.as_strided([2], [1]) + torch.ops.aten._reshape_alias(x, [2, 2], [1 << 60, 1 << 60]).sum()

    torch.jit.script(ReadsOutOfBounds()).save(run.folder / "inputs" / "model.pt")
    with pytest.raises(ChildFailure):
        run("load_torchscript")
