"""The names of tensors, and with their shapes as one short value, by which weights find the network they fit."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Value = TypeVar("Value")

_COUNTER = "num_batches_tracked"
_DATA_PARALLEL_PREFIX = "module."


def layout_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """Equal for two state dicts exactly where the names and shapes are; batch counters, which old files lack, aside."""
    plain = plainly_named(shapes)
    lines = sorted(f"{name} {list(shape)}" for name, shape in plain.items() if not name.endswith(_COUNTER))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def plainly_named(tensors: Mapping[str, Value]) -> dict[str, Value]:
    return dict(zip(plain_names(tensors), tensors.values(), strict=True))


def plain_names(names: Iterable[str]) -> list[str]:
    """Without the prefix that torch.nn.DataParallel puts before all of them."""
    names = list(names)
    has_prefix = all(name.startswith(_DATA_PARALLEL_PREFIX) for name in names)
    return [name.removeprefix(_DATA_PARALLEL_PREFIX) for name in names] if has_prefix else names
