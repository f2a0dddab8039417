"""Models and data sets on their way in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.api.context import Context
from app.core import storage as storage_module
from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import ARCHITECTURE, DATASET, LOCAL_URL, STATE_DICT, TORCHSCRIPT
from tests.core.rows import model_row

INPUTS = '[{"name": "x", "shape": ["batch", 1, 28, 28], "dtype": "float32"}]'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def part(name: str, content: bytes = b"x", file_name: str | None = None) -> bytes:
    file = f'; filename="{file_name}"' if file_name else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def files_in(context: Context) -> list[str]:
    return sorted(context.storage.all_keys())


def test_a_torchscript_archive_is_kept_as_it_was_sent(client: TestClient, context: Context) -> None:
    with TORCHSCRIPT.open("rb") as file:
        answer = client.post("/v1/models", files={"file": file}, data={"name": "digits", "inputs": INPUTS})
    model = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/models/{model['id']}"
    assert (model["status"], model["format"], model["name"]) == ("inspecting", "torchscript", "digits")
    assert model["inputs"][0]["shape"] == ["batch", 1, 28, 28]
    assert client.get(answer.headers["Location"]).json() == model
    download = client.get(f"{answer.headers['Location']}/download")
    assert download.content == TORCHSCRIPT.read_bytes()
    assert download.headers["ETag"] == f'"sha256-{model["sha256"]}"'
    assert download.headers["Content-Disposition"] == 'attachment; filename="digits.pt"'


@pytest.mark.parametrize(
    ("format", "file_name"),
    [("exported_program", "m.pt2"), ("safetensors", "m.safetensors"), ("state_dict", "m.pt")],
)
def test_a_model_is_given_back_with_its_formats_suffix(
    client: TestClient, context: Context, format: str, file_name: str
) -> None:
    target = context.storage.create()
    target.write(b"weights")
    with context.database.writing() as session:
        session.add(model_row("model_1", format=format))
    context.storage.publish(target, "models/model_1")
    download = client.get("/v1/models/model_1/download")
    assert download.headers["Content-Disposition"] == f'attachment; filename="{file_name}"'


def test_a_state_dict_comes_with_its_architecture(client: TestClient) -> None:
    with STATE_DICT.open("rb") as file:
        answer = client.post("/v1/models", files={"file": file}, data={"architecture": ARCHITECTURE.read_text()})
    assert answer.status_code == 201
    assert answer.json()["architecture"]["source"] == "layers"
    assert answer.json()["name"] == "mnist_cnn.state_dict"


def test_a_state_dict_without_an_architecture_is_kept(client: TestClient) -> None:
    with STATE_DICT.open("rb") as file:
        answer = client.post("/v1/models", files={"file": file}, data={"architecture": ""})
    assert (answer.status_code, answer.json()["architecture"]) == (201, None)


def test_a_data_set_is_kept_with_its_arrays(client: TestClient) -> None:
    with DATASET.open("rb") as file:
        answer = client.post("/v1/datasets", files={"file": file}, data={"name": "mnist.npz"})
    dataset = answer.json()
    assert answer.status_code == 201
    assert dataset["arrays"]["x_test"] == {"shape": [1000, 1, 28, 28], "dtype": "float32"}
    assert client.get("/v1/datasets").json() == {"data": [dataset], "has_more": False}
    download = client.get(f"/v1/datasets/{dataset['id']}/download")
    assert download.content == DATASET.read_bytes()
    assert download.headers["Content-Disposition"] == 'attachment; filename="mnist.npz"'


def test_a_model_can_be_deleted(client: TestClient, context: Context) -> None:
    with TORCHSCRIPT.open("rb") as file:
        address = client.post("/v1/models", files={"file": file}).headers["Location"]
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert files_in(context) == []


def test_lists_go_on_after_an_id(client: TestClient) -> None:
    ids = []
    for _ in range(3):
        with TORCHSCRIPT.open("rb") as file:
            ids.insert(0, client.post("/v1/models", files={"file": file}).json()["id"])
    first = client.get("/v1/models", params={"limit": 2}).json()
    rest = client.get("/v1/models", params={"limit": 2, "after": first["data"][-1]["id"]}).json()
    assert [model["id"] for model in first["data"] + rest["data"]] == ids
    assert (first["has_more"], rest["has_more"]) == (True, False)


REFUSED = {
    "empty": (part("file", b"", "m.pt") + b"--b--\r\n", "empty_file"),
    "no file": (part("name") + b"--b--\r\n", "missing_file"),
    "no parts": (b"--b--\r\n", "missing_file"),
    "nothing": (b"", "truncated_body"),
    "unknown field": (part("colour") + b"--b--\r\n", "unknown_field"),
    "unnamed field": (b"--b\r\n\r\nx\r\n--b--\r\n", "unknown_field"),
    "two files": (part("file", b"x", "a.pt") + part("file", b"y", "b.pt") + b"--b--\r\n", "duplicate_field"),
    "two names": (part("name") + part("name") + b"--b--\r\n", "duplicate_field"),
    "cut off in the file": (part("file", b"x" * 3_000_000, "m.pt")[:-9], "truncated_body"),
    "cut off before the end": (part("file", b"x", "m.pt"), "truncated_body"),
    "not a form": (b"hello", "malformed_form"),
    "bad inputs": (part("inputs", b"[1]") + part("file") + b"--b--\r\n", "invalid_request"),
    "strange inputs": (part("inputs", b'[{"name": "\\ud800"}]') + part("file") + b"--b--\r\n", "invalid_json"),
    "strange name": (part("name", b"a\0b") + part("file") + b"--b--\r\n", "invalid_request"),
    "name of other letters": (part("name", b"\xff") + part("file") + b"--b--\r\n", "invalid_request"),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_form_that_is_wrong_leaves_nothing_behind(
    client: TestClient, context: Context, body: bytes, code: str
) -> None:
    answer = client.post("/v1/models", content=body, headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert files_in(context) == []


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("architecture", '{"source": "layers", "layers": [{"type": "Evil"}]}', "architecture.layers.0"),
        ("architecture", '{"source": "layers", "layers": [{"type": "ReLU", "name": 3}]}', "architecture.layers.0.name"),
        ("architecture", '{"source": "layers", "layers": [], "colour": 1}', "architecture.layers architecture.colour"),
        ("architecture", '{"source": "layers"}', "architecture.layers"),
        (
            "architecture",
            '{"source": "layers", "layers": [{"type": "Residual", "layers": [{"type": "Residual"}]}]}',
            "architecture.layers.0.layers.0.layers",
        ),
        ("architecture", '{"source": "model", "model": 3}', "architecture.model"),
        ("architecture", '{"source": "nowhere"}', "architecture"),
        ("inputs", '[{"name": "x", "shape": ["batch", -4]}]', "inputs.0.shape.1"),
        ("inputs", '[{"name": "x", "shape": 3}]', "inputs.0.shape"),
        ("inputs", '[{"name": "x"}]', "inputs.0.shape"),
        ("inputs", '[{"name": "x", "shape": ["batch"], "ranges": {"batch": [1]}}]', "inputs.0.ranges.batch.1"),
        ("inputs", "{}", "inputs"),
    ],
)
def test_a_wrong_place_is_named_as_it_was_written(client: TestClient, field: str, value: str, where: str) -> None:
    with STATE_DICT.open("rb") as file:
        problem = client.post("/v1/models", files={"file": file}, data={field: value}).json()
    assert list(dict.fromkeys(error["where"] for error in problem["errors"])) == where.split()


def test_a_wrong_place_far_down_is_found_at_once(client: TestClient) -> None:
    value = '{"source": "layers", "layers": [' + '{"type": "Residual", "layers": [' * 28 + "1" + "]}" * 29
    with STATE_DICT.open("rb") as file:
        problem = client.post("/v1/models", files={"file": file}, data={"architecture": value}).json()
    assert problem["errors"][0]["where"] == "architecture" + ".layers.0" * 29


def test_a_path_in_the_file_name_is_dropped(client: TestClient) -> None:
    body = part("file", TORCHSCRIPT.read_bytes(), "../../etc/n\x07et.pt") + b"--b--\r\n"
    assert client.post("/v1/models", content=body, headers=FORM).json()["name"] == "net"


@pytest.mark.parametrize("media_type", ["multipart/form-data", "multipart/mixed; boundary=b", "application/json"])
def test_only_forms_are_taken_as_forms(client: TestClient, media_type: str) -> None:
    answer = client.post("/v1/datasets", content=b"--b--", headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.fixture
def small_service(data_dir: Path) -> Iterator[TestClient]:
    settings = Settings(data_dir=data_dir, max_upload_bytes=100_000, max_body_bytes=1000, min_free_bytes=0)
    with TestClient(create_app(settings), base_url=LOCAL_URL) as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [part("file", b"x" * 100_001, "m.pt"), part("name", b"x" * 1001), part("file", b"x" * 9_000_000, "m.pt")],
    ids=["file", "field", "whole"],
)
def test_what_is_too_large_is_refused_while_it_arrives(small_service: TestClient, body: bytes) -> None:
    answer = small_service.post("/v1/models", content=iter([body, b"--b--\r\n"]), headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert list(small_service.app.state.context.storage.all_keys()) == []


def test_a_full_disk_is_said_to_be_full(client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_to_full_disk(descriptor: int, data: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage_module, "_write_all", write_to_full_disk)
    with DATASET.open("rb") as file:
        answer = client.post("/v1/datasets", files={"file": file})
    assert (answer.status_code, answer.json()["code"]) == (507, "out_of_space")
    assert files_in(context) == []


def test_the_disk_is_never_filled_to_the_brim(data_dir: Path) -> None:
    app = create_app(Settings(data_dir=data_dir, min_free_bytes=1 << 60))
    with TestClient(app, base_url=LOCAL_URL) as client, DATASET.open("rb") as file:
        assert client.post("/v1/datasets", files={"file": file}).json()["code"] == "out_of_space"
