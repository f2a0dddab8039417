"""Data sets of images on their way in."""

import json

from starlette.testclient import TestClient

from app.api.context import Context
from tests.api.conftest import DATASET
from tests.core.uploads.samples_of_images import png
from tests.core.uploads.zip_builder import Member, zip_file

ARCHIVE = zip_file(*(Member(f"train/{name}.png", png(3, 2)) for name in ("cat/a", "cat/b", "dog/a")))


def test_images_are_kept_with_what_makes_them_numbers(client: TestClient) -> None:
    transform = {"size": 8, "mean": [0.5], "std": [0.25]}
    answer = client.post(
        "/v1/datasets", files={"file": ("pets.zip", ARCHIVE)}, data={"transform": json.dumps(transform)}
    )
    dataset = answer.json()
    assert answer.status_code == 201
    assert dataset["transform"] == {"size": [8, 8], "mean": [0.5], "std": [0.25]}
    assert dataset["arrays"]["x"] == {"shape": [3, 1, 8, 8], "dtype": "float32"}
    assert client.get(answer.headers["Location"]).json() == dataset
    download = client.get(f"{answer.headers['Location']}/download")
    assert download.content == ARCHIVE
    assert download.headers["Content-Disposition"] == 'attachment; filename="pets.zip"'


def test_without_a_size_the_images_have_their_own(client: TestClient) -> None:
    dataset = client.post("/v1/datasets", files={"file": ("pets.zip", ARCHIVE)}).json()
    assert dataset["arrays"]["x"]["shape"] == [3, 3, 2, 3]
    assert dataset["transform"]["size"] == [2, 3]


def test_a_wrong_transform_is_refused_and_nothing_kept(client: TestClient, context: Context) -> None:
    answer = client.post("/v1/datasets", files={"file": ("pets.zip", ARCHIVE)}, data={"transform": '{"size": 0}'})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["where"].startswith("transform")
    assert list(context.storage.all_keys()) == []


def test_arrays_take_no_transform(client: TestClient) -> None:
    with DATASET.open("rb") as file:
        answer = client.post("/v1/datasets", files={"file": file}, data={"transform": '{"size": 8}'})
    assert (answer.status_code, answer.json()["code"]) == (422, "transform_not_taken")
