import torch

from worker.training.augmentation import augmented, flipped, shifted
from worker.training.batches import Batch

IMAGES = torch.arange(40 * 2 * 16 * 24, dtype=torch.float32).view(40, 2, 16, 24)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_about_half_of_the_images_are_flipped_left_to_right() -> None:
    result = flipped(IMAGES, generator())
    kept = [torch.equal(one, before) for one, before in zip(result, IMAGES, strict=True)]
    mirrored = [torch.equal(one, before.flip(2)) for one, before in zip(result, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(kept, mirrored, strict=True))
    assert 10 < sum(mirrored) < 30


def test_images_are_shifted_by_an_eighth_at_most_and_keep_their_edges() -> None:
    result = shifted(IMAGES, generator())
    offsets = set()
    for one, before in zip(result, IMAGES, strict=True):
        padded = torch.nn.functional.pad(before[None], (3, 3, 2, 2), mode="replicate")[0]
        fits = [
            (down, right)
            for down in range(5)
            for right in range(7)
            if torch.equal(one, padded[:, down : down + 16, right : right + 24])
        ]
        assert len(fits) == 1
        offsets.add(fits[0])
    assert len(offsets) > 15


def test_labels_and_other_inputs_stay() -> None:
    batch = Batch((IMAGES, IMAGES.long(), IMAGES.flatten(1)), torch.arange(40))
    result = augmented(batch, "standard", generator())
    assert not torch.equal(result.inputs[0], IMAGES)
    assert torch.equal(result.inputs[1], IMAGES.long())
    assert torch.equal(result.inputs[2], IMAGES.flatten(1))
    assert result.labels is batch.labels


def test_none_changes_nothing() -> None:
    batch = Batch((IMAGES,), None)
    assert augmented(batch, "none", generator()) is batch
