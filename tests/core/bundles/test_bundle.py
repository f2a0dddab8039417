"""The zip itself: the same files make the same bytes, and none is held in memory."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from app.core.bundles import Bundle
from tests.core.measured_files import int8_job
from tests.core.reports.test_reports import report_of


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    files = {"model.onnx": tmp_path / "model.onnx", "sample.npz": tmp_path / "sample.npz"}
    for path in files.values():
        path.write_bytes(path.name.encode())
    return Bundle({"model.onnx": files["model.onnx"]}, files["sample.npz"])


def test_the_same_files_make_the_same_bundle(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("first.zip", "second.zip"):
        bundle.write(tmp_path / name, report_of(int8_job()))
        bundle.files["model.onnx"].touch()
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as made:
        assert set(made.namelist()) == {"run.py", "requirements.txt", "README.md", "model.onnx", "sample.npz"}
        assert made.read("model.onnx") == b"model.onnx"
        assert made.read("requirements.txt") == b"numpy\nonnxruntime\n"
    assert (tmp_path / "first.zip").stat().st_size < bundle.size_bytes()


def test_a_large_file_is_copied_in_pieces(bundle: Bundle, tmp_path: Path) -> None:
    report = report_of(int8_job())
    bundle.write(tmp_path / "bundle.zip", report)  # the templates are there from here on
    with bundle.files["model.onnx"].open("wb") as file:
        file.truncate(100 << 20)
    tracemalloc.start()
    try:
        bundle.write(tmp_path / "bundle.zip", report)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert (tmp_path / "bundle.zip").stat().st_size > 100 << 20


def test_weights_that_answer_nothing_come_without_a_script_to_run(bundle: Bundle, tmp_path: Path) -> None:
    report = report_of(int8_job()).model_copy(update={"inputs": ()})
    Bundle(bundle.files, None).write(tmp_path / "bundle.zip", report)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as made:
        assert set(made.namelist()) == {"requirements.txt", "README.md", "model.onnx"}
        assert "run.py" not in made.read("README.md").decode()
