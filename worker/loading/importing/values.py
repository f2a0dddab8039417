"""What a TorchScript value is while its graph is being read.

Numbers, texts, lists, tuples and dicts are plain Python. What depends on the inputs is `Traced`. Stored tensors come
as `torch.Tensor` when they are read from a module's lists, as `Traced` when they are read by their name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

# In the order of TorchScript's numbering of element types.
ELEMENT_TYPES = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex32,
    torch.complex64,
    torch.complex128,
    torch.bool,
    torch.qint8,
    torch.quint8,
    torch.qint32,
    torch.bfloat16,
)
LAYOUTS = {0: torch.strided}
MEMORY_FORMATS = {
    0: torch.contiguous_format,
    1: torch.preserve_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
}


@dataclass(eq=False)
class Traced:
    """A value that the written graph computes: its node, and what it is for the example inputs."""

    node: fx.Node
    example: Any
    from_data: bool = False  # whether it depends on an input's values, and not on its sizes alone
    sizes_from_data: bool = False  # whether even its sizes do

    @property
    def is_tensor(self) -> bool:
        return isinstance(self.example, Tensor)


@dataclass(frozen=True)
class Submodule:
    """A module of the archive, by its path from the top."""

    path: str
    module: torch.nn.Module

    def child(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


@dataclass(eq=False)
class LocalObject:
    """An object of a scripted class that lives within one call, such as a `no_grad` block."""

    attributes: dict[str, Any] = field(default_factory=dict)


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, Traced) and value.is_tensor)


def constant_number(value: Any) -> Any:
    """A constant tensor of one number is that number, because traces write numbers that way."""
    is_constant = isinstance(value, Tensor) and value.dim() == 0 and not value.requires_grad
    return value.item() if is_constant else value


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` applied to each leaf of nested lists, tuples and dicts."""
    if isinstance(value, list | tuple):
        return type(value)(mapped(one, change) for one in value)
    if isinstance(value, dict):
        return {key: mapped(one, change) for key, one in value.items()}
    return change(value)


def leaves(value: Any) -> list[Any]:
    found: list[Any] = []
    mapped(value, found.append)
    return found


def examples(value: Any) -> Any:
    return mapped(value, lambda one: one.example if isinstance(one, Traced) else one)


def is_from_data(*values: Any) -> bool:
    return any(isinstance(one, Traced) and one.from_data for one in leaves(list(values)))
