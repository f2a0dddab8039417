"""What crosses between a child and its supervisor."""

import pytest
from pydantic import ValidationError

from app.core.tasks import WrittenFile

FILE = {"name": "model.onnx", "path": "outputs/model.onnx", "format": "onnx", "role": "artifact", "parameters": 1}
FILE |= {"nonzero_parameters": 1, "macs": None}


@pytest.mark.parametrize("path", ["outputs/model.onnx", "inputs/checkpoint/1/step-0.onnx"])
def test_a_child_names_files_of_its_own_folder(path: str) -> None:
    assert WrittenFile.model_validate(FILE | {"path": path}).path == path


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../modelpress.db",
        "outputs/../../modelpress.db",
        "outputs",
        "logs/x",
        "outputs//x",
        "outputs/x\n",
    ],
)
@pytest.mark.parametrize("field", ["path", "companions", "probe"])
def test_and_no_others(path: str, field: str) -> None:
    with pytest.raises(ValidationError):
        WrittenFile.model_validate(FILE | {field: (path,) if field == "companions" else path})


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b"])
def test_a_files_name_is_no_path(name: str) -> None:
    with pytest.raises(ValidationError):
        WrittenFile.model_validate(FILE | {"name": name})
