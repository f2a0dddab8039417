"""A zip archive of images in folders, `train/CLASS/NAME.png` and `test/CLASS/NAME.png`: its names, and its headers."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from app.core.facts import ArrayFacts
from app.core.images import ImageTransform
from app.core.uploads import limits
from app.core.uploads.image_headers import ImageSize, image_size
from app.core.uploads.inflation import check_inflation
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.zip_archive import ZipArchive

_IMAGE = re.compile(r"(?P<side>train|test)/(?P<label>[^/\\]{1,100})/[^/\\]{1,200}\.(?:png|jpg|jpeg)", re.IGNORECASE)
_FOLDER = re.compile(r"(?:train|test)/(?:[^/\\]{1,100}/)?")
_ADVICE = (
    "An archive of images holds train/CLASS/NAME.png (or .jpg), and test/CLASS/NAME.png where test images are apart; "
    "for example from `zip -r data.zip train test --include '*.png' '*.jpg'`."
)


class Labelled(NamedTuple):
    """`label` is the position of the image's class among all classes."""

    name: str
    label: int


class ImageFolders(NamedTuple):
    """`parts` by the ending of their arrays' names: `_train` and `_test`, or one without any."""

    classes: tuple[str, ...]
    parts: dict[str, tuple[Labelled, ...]]


def image_folders(names: Iterable[str]) -> ImageFolders:
    """Classes in the order of their names, and images in the order of theirs. Invalid when a name has no place."""
    found = [_placed(name) for name in sorted(names) if not _FOLDER.fullmatch(name)]
    classes = sorted({label for side, label, _ in found if side == "train"})
    numbers = {label: number for number, label in enumerate(classes)}
    for _, label, name in found:
        if label not in numbers:
            raise refusal("image_folders", f"There is no class folder in train for the image {quoted(name)}. {_ADVICE}")
    train, test = (
        tuple(Labelled(name, numbers[label]) for side, label, name in found if side == wanted)
        for wanted in ("train", "test")
    )
    return ImageFolders(tuple(classes), {"_train": train, "_test": test} if test else {"": train})


def _placed(name: str) -> tuple[str, str, str]:
    found = _IMAGE.fullmatch(name)
    if not found or not name.isprintable() or found["side"] not in ("train", "test") or found["label"] in (".", ".."):
        raise refusal("image_folders", f"The archive holds {quoted(name)}, which has no place there. {_ADVICE}")
    return found["side"], found["label"], name


class ImagesRead(NamedTuple):
    """`transform` has its size, from the request or from the images."""

    arrays: dict[str, ArrayFacts]
    transform: ImageTransform


def read_image_folders(archive: ZipArchive, transform: ImageTransform) -> ImagesRead:
    """Names, sizes and checksums; nothing is decoded."""
    folders = image_folders(archive.members)
    check_inflation(archive)
    sizes = {_size(archive, image.name): image.name for part in folders.parts.values() for image in part}
    height, width = transform.height_and_width or _only_size(sizes)
    arrays: dict[str, ArrayFacts] = {}
    for ending, part in folders.parts.items():
        arrays[f"x{ending}"] = ArrayFacts(shape=(len(part), transform.channels, height, width), dtype="float32")
        arrays[f"y{ending}"] = ArrayFacts(shape=(len(part),), dtype="int64")
    return ImagesRead(arrays, transform.model_copy(update={"size": (height, width)}))


def _size(archive: ZipArchive, name: str) -> ImageSize:
    """All content is read once, for the checksum."""
    if archive.members[name].size > limits.IMAGE_BYTES:
        raise refusal("image_too_large", f"The image {quoted(name)} has more than {limits.IMAGE_BYTES} bytes.")
    start = b""
    for chunk in archive.content(name):
        start = start if len(start) >= limits.IMAGE_HEADER_BYTES else start + chunk
    return image_size(name, start)


def _only_size(sizes: dict[ImageSize, str]) -> ImageSize:
    size, *others = sizes
    if others:
        names = f"{quoted(sizes[size])} and {quoted(sizes[others[0]])}"
        raise refusal(
            "image_sizes", f'{names} are of different sizes. Send `transform` with a size, for example {{"size": 224}}.'
        )
    if max(size) > limits.IMAGE_SIDE:
        raise refusal("image_sizes", f"The images are {size.width} x {size.height}. Send `transform` with a size.")
    return size
