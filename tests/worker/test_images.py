"""Folders of images as arrays."""

from pathlib import Path

import numpy as np
import pytest

from app.core.errors import Invalid
from app.core.facts import DatasetFacts
from app.core.images import ImageTransform
from app.core.job_files import DatasetFile
from app.core.tasks import InspectDataset
from app.core.uploads import read_dataset
from tests.worker.image_archives import encoded, plain, write_images
from tests.worker.jobs import silent
from worker.data import Dataset, open_dataset
from worker.pipeline import perform

GREY = {"mean": (0.5,), "std": (0.25,)}
FILES = {
    "train/dog/b.png": plain(40),
    "train/cat/a.png": plain(10),
    "train/cat/b.png": plain(20),
    "test/dog/a.png": plain(50),
}


def dataset_file(folder: Path, files: dict[str, bytes], **transform: object) -> DatasetFile:
    (folder / "inputs").mkdir(exist_ok=True)
    path = write_images(folder / "inputs" / "data.zip", files)
    found = read_dataset(path, "data.zip", ImageTransform.model_validate(transform))
    return DatasetFile(path="inputs/data.zip", format="images", transform=found.transform)


def opened(folder: Path, files: dict[str, bytes], **transform: object) -> Dataset:
    return open_dataset(folder, dataset_file(folder, files, **transform))


def test_classes_are_the_folders_in_order_of_their_names(tmp_path: Path) -> None:
    dataset = opened(tmp_path, FILES, **GREY)
    inputs, labels = dataset.train.take(range(3))
    assert labels is not None
    assert labels.tolist() == [0, 0, 1]
    assert dataset.test.take([0])[1].tolist() == [1]
    assert (inputs[""][:, 0, 0, 0] * 0.25 + 0.5).mul(255).round().tolist() == [10, 20, 40]


def test_channels_come_first_and_are_normalized_one_by_one(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 3))
    pixels[0, 1] = (255, 51, 0)
    mean, std = (0.0, 0.1, 0.5), (1.0, 0.5, 0.25)
    inputs, _ = opened(tmp_path, {"train/a/a.png": encoded(pixels), "test/a/a.png": encoded(pixels)},
                       mean=mean, std=std).train.take([0])  # fmt: skip
    assert inputs[""].shape == (1, 3, 2, 3)
    assert inputs[""][0, :, 0, 1].tolist() == pytest.approx([1.0, 0.2, -2.0])
    assert inputs[""][0, :, 1, 1].tolist() == pytest.approx([0.0, -0.2, -2.0])


@pytest.mark.parametrize(("size", "shape"), [(8, (8, 8)), ((6, 2), (6, 2))])
def test_images_of_any_size_are_resized(tmp_path: Path, size: object, shape: tuple[int, int]) -> None:
    files = {"train/a/a.png": plain(100, 16), "train/a/b.jpg": encoded(np.full((5, 9, 3), 100), "JPEG")}
    inputs, _ = opened(tmp_path, {**files, "test/a/a.png": plain(100)}, size=size).train.take([0, 1])
    assert inputs[""].shape == (2, 3, *shape)
    assert inputs[""].numpy() == pytest.approx(100 / 255, abs=0.01)


def test_only_the_images_that_are_taken_are_decoded(tmp_path: Path) -> None:
    dataset = opened(tmp_path, FILES | {"train/dog/z.png": plain(1)[:-20]}, **GREY)
    dataset.train.take([0, 1, 2])
    with pytest.raises(Invalid, match=r"train/dog/z\.png"):
        dataset.train.take([3])


def test_without_test_images_a_fifth_is_kept_for_the_test(tmp_path: Path) -> None:
    dataset = opened(tmp_path, {f"train/a/{number}.png": plain(number) for number in range(10)})
    assert (len(dataset.train), len(dataset.test)) == (8, 2)


def inspected(folder: Path, files: dict[str, bytes], **transform: object) -> DatasetFacts:
    answer = perform(InspectDataset(dataset=dataset_file(folder, files, **transform)), folder, silent)
    assert isinstance(answer, DatasetFacts)
    return answer


def test_inspection_agrees_with_the_static_check(tmp_path: Path) -> None:
    facts = inspected(tmp_path, FILES, **GREY)
    assert facts.arrays == read_dataset(tmp_path / "inputs" / "data.zip", "data.zip", ImageTransform(**GREY)).arrays
    assert (facts.task, facts.classes, facts.examples) == ("classification", 2, {"train": 3, "test": 1})


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"train/cat/odd\.png") as caught:
        inspected(tmp_path, FILES | {"train/cat/odd.png": plain(1)[:-20]})
    assert caught.value.code == "image_malformed"
