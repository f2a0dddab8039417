"""Random changes to training images that leave their meaning as it is."""

import torch
from torch import Tensor

from app.core.recipes.training import Augmentation, is_image
from worker.training.batches import Batch

LARGEST_SHIFT = 8  # an eighth of the height and of the width


def augmented(batch: Batch, augmentation: Augmentation, generator: torch.Generator) -> Batch:
    """Inputs of shape (examples, channels, height, width) of floats; others stay."""
    if augmentation == "none":
        return batch
    return Batch(tuple(_changed(one, augmentation, generator) for one in batch.inputs), batch.labels)


def _changed(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    if not is_image(images.shape) or not images.is_floating_point():
        return images
    if augmentation in ("flip", "standard"):
        images = flipped(images, generator)
    return shifted(images, generator) if augmentation in ("shift", "standard") else images


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """About half of them, left to right."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each by its own random offset; what moves in at an edge is that edge's own value."""
    examples, _, height, width = images.shape
    rows = _moved(examples, height, generator)[:, None, :, None]
    columns = _moved(examples, width, generator)[:, None, None, :]
    return images.gather(2, rows.expand(images.shape)).gather(3, columns.expand(images.shape))


def _moved(examples: int, size: int, generator: torch.Generator) -> Tensor:
    """For each example the positions that its `size` places are filled from."""
    most = size // LARGEST_SHIFT
    offsets = torch.randint(-most, most + 1, (examples, 1), generator=generator)
    return (torch.arange(size) + offsets).clamp(0, size - 1)
