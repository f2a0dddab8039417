"""Which arrays make a data set, and what their shapes must have in common."""

import re
from collections.abc import Mapping
from pathlib import Path

from app.core.facts import ArrayFacts, DatasetFormat
from app.core.images import ImageTransform
from app.core.schemas import Schema
from app.core.uploads import formats
from app.core.uploads.image_folders import read_image_folders
from app.core.uploads.npz import read_npz
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.safetensors_files import read_safetensors
from app.core.uploads.zip_archive import ZipArchive

_NAME = re.compile(r"(?P<role>x|y|x_train|y_train|x_test|y_test)(?:\.(?P<input>[A-Za-z_][A-Za-z0-9_.]{0,63}))?")
_NAMES_ADVICE = "Name them x_train, y_train, x_test and y_test, or x and y; with several inputs x_train.NAME."


class DatasetUpload(Schema):
    """`transform` is there for images alone, and has its size then."""

    format: DatasetFormat
    arrays: dict[str, ArrayFacts]
    transform: ImageTransform | None = None


def read_dataset(path: Path, file_name: str, transform: ImageTransform | None = None) -> DatasetUpload:
    """Reads a data set's headers and checks names, shapes and checksums. Invalid when it can't be one."""
    with path.open("rb") as file:
        kind = formats.recognized(file, file_name, formats.DATASETS)
        if kind == "images":
            images = read_image_folders(ZipArchive(file), transform or ImageTransform())
            check_arrays(images.arrays)
            return DatasetUpload(format="images", arrays=images.arrays, transform=images.transform)
        if transform is not None:
            raise refusal(
                "transform_not_taken", "Arrays are used as they are. Leave `transform` out, which is for images."
            )
        upload = (
            DatasetUpload(format="npz", arrays=read_npz(ZipArchive(file)))
            if kind == "npz"
            else DatasetUpload(format="safetensors", arrays=read_safetensors(file))
        )
    check_arrays(upload.arrays)
    return upload


def check_arrays(arrays: Mapping[str, ArrayFacts]) -> None:
    """Names and shapes, by headers alone."""
    parts = _parts(arrays)
    for part in parts:
        _check_part(part, parts[part])
    if "train" in parts:
        _check_pair(parts["train"], parts["test"])


_Part = dict[str, ArrayFacts]


def _parts(arrays: Mapping[str, ArrayFacts]) -> dict[str, _Part]:
    """The arrays of `train`, `test` or `all`, by their names within it: `x`, `x.NAME`, `y`."""
    parts: dict[str, _Part] = {}
    for name, facts in arrays.items():
        found = _NAME.fullmatch(name)
        if not found or (found["input"] and found["role"][0] == "y"):
            raise refusal("dataset_names", f"The array {quoted(name)} has no place in a data set. {_NAMES_ADVICE}")
        side = found["role"][2:] or "all"
        parts.setdefault(side, {})[name.replace(f"_{side}", "", 1)] = facts
    if set(parts) not in ({"all"}, {"train", "test"}):
        there = ", ".join(sorted(arrays)) or "none"
        raise refusal(
            "dataset_names", f"The file must hold both train and test, or neither; it holds: {there}. {_NAMES_ADVICE}"
        )
    return parts


def _check_part(side: str, part: _Part) -> None:
    inputs = {name: facts for name, facts in part.items() if name != "y"}
    if not inputs or ("x" in inputs and len(inputs) > 1):
        raise refusal("dataset_names", f"There must be either one x or an x.NAME for each input. {_NAMES_ADVICE}")
    if any(not facts.shape for facts in part.values()) or len({facts.shape[0] for facts in part.values()}) != 1:
        shapes = ", ".join(f"{name} {facts.shape}" for name, facts in part.items())
        raise refusal(
            "dataset_shapes", f"The first size must be the same number of examples everywhere; {side} has {shapes}."
        )
    count, needed = next(iter(inputs.values())).shape[0], 2 if side == "all" else 1
    if count < needed:
        there = "the file" if side == "all" else side
        raise refusal("dataset_shapes", f"Train and test need one example each at least; {there} has {count}.")
    if "y" in part and (len(part["y"].shape) != 1 or part["y"].dtype == "bool"):
        y = part["y"]
        raise refusal(
            "dataset_shapes", f"y must be one row of integers (classes) or floats (values), not {y.dtype} {y.shape}."
        )


def _check_pair(train: _Part, test: _Part) -> None:
    if set(train) != set(test):
        raise refusal(
            "dataset_names", f"Train holds {', '.join(sorted(train))}, test {', '.join(sorted(test))}. {_NAMES_ADVICE}"
        )
    for name, facts in train.items():
        if not _alike(name, facts, test[name]):
            raise refusal(
                "dataset_shapes",
                f"{name} is {facts.dtype} {facts.shape} in train, {test[name].dtype} {test[name].shape} in test.",
            )


def _alike(name: str, train: ArrayFacts, test: ArrayFacts) -> bool:
    """The width of labels may differ, not whether they are classes or values."""
    same_type = train.dtype == test.dtype
    if name == "y":
        same_type = train.dtype.startswith("float") == test.dtype.startswith("float")
    return same_type and len(train.shape) == len(test.shape)
