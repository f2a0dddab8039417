"""A file that isn't what it should be is left out with a warning, and the others are delivered."""

import pytest

from app.core.errors import Problem
from app.core.tasks import Compression
from tests.core.measured_files import MeasuredJob
from worker.refused_files import Refusal, without_refused

DIFFERS = Problem("It doesn't answer as the network does.", code="artifact_differs")


def written() -> Compression:
    job = MeasuredJob("magnitude_pruning", "static_quantization")
    job.add("upload", "upload", milliseconds=2, size_bytes=4, format="torchscript")
    job.add("uncompressed.onnx", "uncompressed", milliseconds=1, size_bytes=4)
    job.add("step-0.onnx", "step", step=0, milliseconds=1, size_bytes=4)
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=1, quantized=True)
    job.add("model.float32.onnx", "artifact", milliseconds=1, size_bytes=4)
    job.add("model.torchscript.pt", "artifact", milliseconds=1, size_bytes=1, format="torchscript", quantized=True)
    same = next(file for file in job.files if file.name == "model.onnx")
    files = (*job.files, same.model_copy(update={"name": "step-1.onnx", "role": "step", "step": 1}))
    return Compression(inputs=(), files=files, steps=job.steps, warnings=("one from before",))


def without(*names: str) -> Compression:
    compression = written()
    refused = [Refusal(file, DIFFERS) for name in names for file in compression.files if file.name == name]
    return without_refused(compression, refused)


def names(compression: Compression) -> set[str]:
    return {file.name for file in compression.files}


@pytest.mark.parametrize(
    ("refused", "gone", "named"),
    [
        ("model.onnx", {"model.onnx", "step-1.onnx", "model.float32.onnx", "uncompressed.onnx"}, "onnx"),
        ("uncompressed.onnx", {"uncompressed.onnx", "model.onnx", "model.float32.onnx"}, "onnx"),
        ("model.float32.onnx", {"model.float32.onnx"}, "model.float32.onnx"),
        ("model.torchscript.pt", {"model.torchscript.pt"}, "torchscript"),
    ],
)
def test_the_others_are_delivered(refused: str, gone: set[str], named: str) -> None:
    compression = without(refused)
    assert names(compression) == names(written()) - gone
    assert compression.warnings == ("one from before", f"{named} was left out. {DIFFERS.detail}")


def test_the_file_of_a_step_that_others_follow_keeps_its_row() -> None:
    compression = without("step-0.onnx")
    assert names(compression) == names(written())
    assert compression.warnings[-1].startswith("What step 0 left was not measured.")


@pytest.mark.parametrize(
    "refused", [("model.onnx", "model.torchscript.pt"), ("uncompressed.onnx", "model.torchscript.pt")]
)
def test_without_any_the_first_problem_is_the_jobs(refused: tuple[str, ...]) -> None:
    with pytest.raises(Problem) as caught:
        without(*refused)
    assert caught.value is DIFFERS


def test_nothing_changes_where_nothing_is_refused() -> None:
    assert without() == written()
