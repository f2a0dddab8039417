"""A bundle runs where nothing but its format's runtime is, and gives the answers that were measured."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from app.core.recipes import MagnitudePruning, StaticQuantization, Step, WeightQuantization
from tests.worker.archives.folders import ArchiveFolder
from tests.worker.finished_jobs import NASTY, finished
from tests.worker.jobs import DATA, inspected, job_folder
from tests.worker.networks import NETWORKS
from worker.finishing import Made

RUN_ALONE = """
import runpy, sys
ours, others = {"app", "worker"}, {"onnx", "onnxruntime", "openvino", "nncf", "torch", "safetensors", "transformers"}
for name in ours | others - set(sys.argv[1:]):
    sys.modules[name] = None
sys.path.insert(0, "")
runpy.run_path("run.py", run_name="__main__")
"""
RUNTIMES = {
    "onnx": ("onnxruntime",),
    "torchscript": ("torch",),
    "state_dict": ("torch", "safetensors"),
    "exported_program": ("torch",),
    "openvino": ("openvino",),
}


def unpacked(made: Made, folder: Path) -> Path:
    with zipfile.ZipFile(made.files["bundle.zip"]) as bundle:
        assert bundle.testzip() is None
        bundle.extractall(folder)
    return folder


def run_alone(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", RUN_ALONE, *packages]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("network", "output", "step"),
    [
        ("transformer", "torchscript", MagnitudePruning()),
        ("mlp", "exported_program", MagnitudePruning()),
        ("mlp", "onnx", StaticQuantization(examples=10)),
        ("mlp", "torchscript", WeightQuantization(bits=4)),
        ("mlp", "state_dict", WeightQuantization(bits=4)),
        ("mlp", "openvino", StaticQuantization(examples=10)),
    ],
)
def test_the_script_runs_with_the_runtime_alone(network: str, output: str, step: Step, tmp_path: Path) -> None:
    if output == "openvino":
        pytest.importorskip("nncf")
    folder = job_folder(tmp_path / "job", NETWORKS[network])
    made = finished(folder, inspected(folder)[0], step, outputs=(output,), data=DATA)
    bundle = unpacked(made, tmp_path / "bundle")
    ran = run_alone(bundle, *RUNTIMES[output])
    assert ran.returncode == 0, ran.stderr
    assert "as expected" in ran.stdout
    assert made.result.artifacts[0].arithmetic == (("int8",) if step.technique == "static_quantization" else ())
    pinned = dict(line.split("==") for line in (bundle / "requirements.txt").read_text().split())
    assert set(pinned) == {*RUNTIMES[output], "numpy"}
    assert pinned["numpy"] == np.__version__


class Mixed(nn.Module):
    """Integers and floats in, a plain number too; a nested answer; a branch that keeps it from being rebuilt."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)

    def forward(self, ids: Tensor, x: Tensor, rate: int) -> dict[str, Tensor]:
        y = self.embedding(ids).sum(1) + x
        if float(y.sum()) > 1e6:
            y = y * 2
        return {"y": y * rate, "half": y / 2}


def mixed(path: Path) -> ArchiveFolder:
    inputs = [
        {"name": "ids", "shape": ["batch", 5], "dtype": "int64", "low": 0, "high": 20},
        {"name": "x", "shape": ["batch", 6]},
        {"name": "rate", "value": 3},
    ]
    torch.manual_seed(0)
    return ArchiveFolder(path, Mixed(), inputs)


def test_an_archive_that_keeps_its_forward_is_given_all_that_it_takes(tmp_path: Path) -> None:
    job = mixed(tmp_path / "job")
    made = finished(job.path, job.model, MagnitudePruning(), outputs=("torchscript",))
    bundle = unpacked(made, tmp_path / "bundle")
    sample = np.load(bundle / "sample.npz")
    assert {"input.ids", "input.x", "output.0", "output.1"} == set(sample.files)
    ran = run_alone(bundle, "torch")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("as expected") == 2


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an int8 file of a network with a hostile name."""
    path = tmp_path_factory.mktemp("int8")
    folder = job_folder(path / "job", NETWORKS["mlp"])
    made = finished(folder, inspected(folder)[0], StaticQuantization(examples=10), data=DATA, name=NASTY)
    assert made.result.artifacts[0].arithmetic == ("int8",)
    return unpacked(made, path / "bundle")


def test_another_answer_fails_the_script(int8: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(int8, tmp_path / "bundle")
    with np.load(bundle / "sample.npz") as stored:
        sample = dict(stored)
    sample["output.0"][0, 0] += 1
    np.savez(bundle / "sample.npz", **sample)
    ran = run_alone(bundle, "onnxruntime")
    assert ran.returncode == 1
    assert "is not what it was" in ran.stderr


def test_a_file_that_multiplies_integers_says_which_instructions_it_wants(int8: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(int8, tmp_path / "bundle")
    script = (bundle / "run.py").read_text()
    (bundle / "run.py").write_text(script.replace('"/proc/cpuinfo"', '"requirements.txt"'))
    ran = run_alone(bundle, "onnxruntime")
    assert ran.returncode == 0, ran.stderr
    assert "This CPU lacks the instructions that int8 wants" in ran.stderr


def test_what_people_call_their_uploads_is_not_in_the_script(int8: Path) -> None:
    assert "evil" not in (int8 / "run.py").read_text()
    assert "evil" in (int8 / "README.md").read_text()


def test_a_bundle_for_which_there_is_no_room_is_left_out(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", NETWORKS["mlp"])
    made = finished(folder, inspected(folder)[0], data=DATA, disk_mb=1)
    assert "bundle.zip" not in made.files
    assert {"model.onnx", "README.md", "report.html"} <= set(made.files)
    assert any("bundle.zip was left out" in warning for warning in made.result.warnings)
