"""Do a file's weights fit a network? If not: which, key by key."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from app.core.errors import Invalid

_LISTED = 10
_COUNTER = "num_batches_tracked"

Shape = Sequence[int]


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_fit(expected: Mapping[str, Shape], found: Mapping[str, Shape], advice: str) -> None:
    """Compares shapes by name. `advice` is what to do where they differ."""
    misshapen = {
        name: (found[name], expected[name])
        for name in expected
        if name in found and tuple(expected[name]) != tuple(found[name])
    }
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    if missing or unexpected or misshapen:
        raise does_not_fit(missing, unexpected, misshapen, advice)


def does_not_fit(
    missing: Sequence[str], unexpected: Sequence[str], misshapen: Mapping[str, tuple[Shape, Shape]], advice: str
) -> Invalid:
    """`misshapen` has the file's and the network's shape of each name."""
    differing = [f"{name} (file {list(file)}, network {list(place)})" for name, (file, place) in misshapen.items()]
    complaints = {
        "the file has no": missing,
        "the network has no place for": unexpected,
        "the shapes differ of": differing,
    }
    listed = "; ".join(f"{words} {_listed(names)}" for words, names in complaints.items() if names)
    return Invalid(
        f"The weights don't fit the architecture: {listed}. {advice}",
        code="weights_do_not_fit",
        title="The weights don't fit the architecture",
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def with_counters(weights: Mapping[str, Tensor], expected: Mapping[str, object]) -> dict[str, Tensor]:
    """Checkpoints from before torch 0.4.1 don't count a norm's batches, which inference doesn't use."""
    missing = {name: torch.tensor(0) for name in expected if name.endswith(_COUNTER) and name not in weights}
    return {**weights, **missing}


def widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def malformed(detail: str) -> Invalid:
    return Invalid(detail, code="architecture_malformed", title="The architecture can't be built")
