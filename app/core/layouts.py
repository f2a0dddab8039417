"""The names and shapes of a network's tensors as one short value, by which weights find the network they fit."""

import hashlib
from collections.abc import Mapping, Sequence

_COUNTER = "num_batches_tracked"


def layout_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """Equal for two state dicts exactly where the names and shapes are; batch counters, which old files lack, aside."""
    lines = sorted(f"{name} {list(shape)}" for name, shape in shapes.items() if not name.endswith(_COUNTER))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
