"""A zip archive of images in folders as arrays of float32, (examples, channels, height, width), decoded when taken."""

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.core.errors import Invalid
from app.core.images import ImageTransform
from app.core.uploads.image_folders import image_folders
from app.core.uploads.image_headers import malformed


@dataclass(frozen=True)
class ImageArray:
    """Holds names alone; each time that rows are taken, their images are decoded."""

    path: Path
    names: tuple[str, ...]
    transform: ImageTransform

    @property
    def shape(self) -> tuple[int, ...]:
        size = self.transform.height_and_width
        assert size is not None
        return (len(self.names), self.transform.channels, *size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Any) -> np.ndarray:
        positions = np.arange(len(self))[rows]
        taken = np.empty((positions.size, *self.shape[1:]), self.dtype)
        for row, position in enumerate(positions.reshape(-1)):
            taken[row] = self._decoded(self.names[position])
        return taken.reshape(*positions.shape, *self.shape[1:])

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def _decoded(self, name: str) -> np.ndarray:
        try:
            pixels = self._pixels(name)
        except Exception as error:
            raise malformed(name, "is damaged and can't be decoded") from error
        mean, std = (np.asarray(values, np.float32) for values in (self.transform.mean, self.transform.std))
        return ((pixels / np.float32(255) - mean) / std).transpose(2, 0, 1)

    def _pixels(self, name: str) -> np.ndarray:
        """(height, width, channels), from 0 to 255."""
        _, _, height, width = self.shape
        with self._archive.open(name) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                coloured = image.convert("RGB" if self.transform.channels == 3 else "L")
                resized = coloured.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized, np.float32).reshape(height, width, -1)


def open_images(path: Path, transform: ImageTransform | None) -> Mapping[str, ImageArray | np.ndarray]:
    if transform is None or transform.size is None:
        raise Invalid(
            "It is not known how its images become numbers. Upload it again.",
            code="dataset_malformed",
            title="The data set can't be read",
        )
    with zipfile.ZipFile(path) as archive:
        folders = image_folders(archive.namelist())
    arrays: dict[str, ImageArray | np.ndarray] = {}
    for ending, part in folders.parts.items():
        arrays[f"x{ending}"] = ImageArray(path, tuple(image.name for image in part), transform)
        arrays[f"y{ending}"] = np.array([image.label for image in part], np.int64)
    return arrays
