"""What a newcomer does first: the README's lines and the demo, as they stand."""

import json
import re
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from app.cli.embedded_service import Service
from app.client import Client
from app.core.measurements import Result
from app.core.recipes.base import EVERY_FORMAT
from tests.api.conftest import ARCHITECTURE, DATASET, STATE_DICT, TORCHSCRIPT

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def shell(line: str, folder: Path) -> str:
    (folder / "examples").symlink_to(ROOT / "examples") if not (folder / "examples").exists() else None
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_three_lines_of_the_readme_make_a_smaller_network(service: Service, tmp_path: Path) -> None:
    lines = re.findall(r"^curl .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    submit, report, download = [line.replace("http://127.0.0.1:8000", service.url) for line in lines]
    job = json.loads(shell(submit, tmp_path))
    assert job["status"] == "succeeded", job["error"]
    assert "model.onnx" in shell(report.replace("JOB_ID", job["id"]), tmp_path)
    shell(download.replace("JOB_ID", job["id"]), tmp_path)
    weights = {tensor.data_type for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert TensorProto.INT8 in weights
    assert onnxruntime.InferenceSession(tmp_path / "model.onnx").get_inputs()[0].shape[1:] == [1, 28, 28]
    _assert_worth_it(Result.model_validate(job["result"]))


def test_the_python_of_the_readme_runs_as_it_stands(service: Service, tmp_path: Path) -> None:
    (python,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "lines.py").write_text(python.replace("http://127.0.0.1:8000", service.url))
    printed = shell(f"PYTHONPATH={ROOT} {sys.executable} lines.py", tmp_path)
    assert "## Files" in printed or "# " in printed
    assert (tmp_path / "out" / "model.onnx").exists()


def _assert_worth_it(result: Result) -> None:
    comparison = result.comparison
    assert comparison.size_ratio >= 3.5
    assert comparison.quality_change is not None
    assert comparison.quality_change >= -0.01
    assert comparison.speedup is not None
    assert comparison.speedup.median == pytest.approx(
        comparison.speedup.runtime_only * comparison.speedup.compression_only, rel=0.01
    )


def test_auto_tries_every_runtime_and_precision(client: Client) -> None:
    """And says which is best; a file that can't be made doesn't fail the others."""
    model = client.wait_for_model(client.upload_model(TORCHSCRIPT).id, 60)
    dataset = client.upload_dataset(DATASET)
    body = {"model": model.id, "dataset": dataset.id, "recipe": {"preset": "safe"}, "outputs": ["auto"]}
    job = client.wait(client.submit(body | {"minimize": "size"}).id, 240)
    assert job.status == "succeeded", job.error
    result = Result.model_validate(job.result)
    assert {"model.float32.onnx", "model.int8-static.onnx", "model.int8-weights.torchscript.pt"} <= {
        artifact.name for artifact in result.artifacts
    }
    smallest = min(result.artifacts, key=lambda artifact: artifact.size_bytes)
    assert result.best == smallest.name
    assert result.comparison.size_ratio > 3.4


def test_a_state_dict_and_its_architecture_give_every_format(client: Client, tmp_path: Path) -> None:
    architecture = json.loads(ARCHITECTURE.read_text())
    model = client.wait_for_model(client.upload_model(STATE_DICT, architecture=architecture, inputs=_INPUTS).id, 60)
    assert model.status == "ready", model.problem
    dataset = client.upload_dataset(DATASET)
    recipe = {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.3}]}
    job = client.submit({"model": model.id, "dataset": dataset.id, "recipe": recipe, "outputs": list(EVERY_FORMAT)})
    job = client.wait(job.id, 240)
    assert job.status == "succeeded", job.error
    names = {artifact.name for artifact in client.artifacts(job.id)}
    assert {"model.onnx", "model.torchscript.pt", "model.safetensors", "network.json", "model.pt2"} <= names
    assert {"bundle.zip", "README.md"} <= names
    assert {"model.openvino.zip", "bundle.zip"} <= names
    program = client.download(job.id, "model.pt2", tmp_path)
    again = client.wait_for_model(client.upload_model(program).id, 60)
    assert (again.status, again.format, again.inputs_from) == ("ready", "exported_program", "given"), again.problem
    request = {"model": again.id, "dataset": dataset.id, "recipe": {"preset": "safe"}, "outputs": ["exported_program"]}
    job = client.wait(client.submit(request).id, 240)
    assert job.status == "succeeded", job.error


_INPUTS = [{"name": "x", "shape": ["batch", 1, 28, 28]}]


def test_the_command_fetches_the_files(service: Service, tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -m app.cli --url {service.url} compress examples/mnist_cnn.torchscript.pt --preset safe"
    )
    shown = shell(f"{command} --data examples/mnist5k.npz -o {tmp_path}/out", tmp_path)
    assert "Speed-up" in shown
    onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")


def test_the_demo_goes_from_an_empty_folder_to_a_report(tmp_path: Path) -> None:
    shown = shell(f"{sys.executable} {ROOT}/examples/demo.py", tmp_path)
    for figure in ("size", "MACs", "parameters", "one call", "accuracy", "interval", "runtime alone", "report.html"):
        assert figure in shown
    assert "Best: job_" in shown
    for listed in (line for line in shown.splitlines() if line.startswith(("/", "var/"))):
        assert (tmp_path / listed).exists()
    assert shown.count("control: ") == 2
    assert "taken over from jobs that begin alike: 2" in shown
    assert (tmp_path / "var" / "demo" / "study.html").exists()
    assert shown.rstrip().endswith("The service stopped with exit code 0.")
