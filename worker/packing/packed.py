"""The kinds of packing. What unpacks them in a state dict stands in `worker/exporting/load_network.py`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from worker.packing.bits import bytes_in_bits, in_bits

# What a state dict may have beside codes, as `load_network.py` has it.
_BESIDE = ("scale", "zero_point", "shape", "levels", "mask")


@dataclass(frozen=True)
class Cast:
    """Floats of fewer bits."""

    codes: Tensor
    kind: ClassVar[str] = "cast"

    def unpacked(self) -> Tensor:
        return self.codes.float()

    def stored(self) -> Tensor:
        return self.codes

    def beside(self) -> Mapping[str, Tensor]:
        """What stands beside the codes, by name."""
        return {}


@dataclass(frozen=True)
class Grouped:
    """Integers of the weight's shape; (code - zero point) * scale, both of which a group of neighbours shares.

    `scale` and `zero_point` have one value for each group: of shape (groups,). A zero point may be one for all groups,
    of shape (1,), and need not be whole. Without one it is 0. Codes of fewer than 8 bits are never negative.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor | None
    bits: int = 8

    @property
    def kind(self) -> str:
        return "grouped" if self.bits == 8 else "grouped_bits"

    def unpacked(self) -> Tensor:
        values = self.codes.float().reshape(len(self.scale), -1)
        if self.zero_point is not None:
            values = values - self.zero_point.float().unsqueeze(1)
        return (values * self.scale.float().unsqueeze(1)).reshape(self.codes.shape)

    def stored(self) -> Tensor:
        return self.codes if self.bits == 8 else in_bits(self.codes, self.bits)

    def beside(self) -> Mapping[str, Tensor]:
        zero_point = {} if self.zero_point is None else {"zero_point": self.zero_point}
        shape = {} if self.bits == 8 else {"shape": torch.tensor(self.codes.shape)}
        return {"scale": self.scale, **zero_point, **shape}


@dataclass(frozen=True)
class Codebook:
    """Numbers, of the weight's shape, of the `levels` that stand for the weights: of shape (2**bits,)."""

    codes: Tensor
    levels: Tensor
    bits: int
    kind: ClassVar[str] = "codebook"

    def unpacked(self) -> Tensor:
        return self.levels[self.codes.long()]

    def stored(self) -> Tensor:
        return in_bits(self.codes, self.bits)

    def beside(self) -> Mapping[str, Tensor]:
        return {"levels": self.levels, "shape": torch.tensor(self.codes.shape)}


@dataclass(frozen=True)
class Float8:
    """Floats of 8 bits as the numbers of their patterns, of the weight's shape, where many readers have no such type:
    `levels` (256,) says what each pattern is, and a row of the weight is that times its `scale`, of shape (rows,).
    """

    codes: Tensor
    levels: Tensor
    scale: Tensor
    kind: ClassVar[str] = "float8"

    def unpacked(self) -> Tensor:
        rows = self.levels[self.codes.long()].reshape(len(self.scale), -1)
        return (rows * self.scale.unsqueeze(1)).reshape(self.codes.shape)

    def stored(self) -> Tensor:
        return self.codes

    def beside(self) -> Mapping[str, Tensor]:
        return {"levels": self.levels, "scale": self.scale}


Packed = Cast | Grouped | Codebook | Float8


@dataclass(frozen=True)
class RowsScaled:
    """What `packed` unpacks to, each row times a factor: of shape (rows, 1, ...)."""

    packed: Packed
    factors: Tensor


@dataclass(frozen=True)
class Multiplied:
    """What `packed` unpacks to, times the matrix of which the diagonal is what `blocks` unpack to."""

    packed: Packed
    blocks: tuple[Packed, ...]


@dataclass(frozen=True)
class Joined:
    """What `parts` unpack to, one after another along the first dimension."""

    parts: tuple[Packed | Multiplied, ...]


def is_taken(name: str, names: Collection[str]) -> bool:
    """Whether one of `names` is what would stand beside the codes of the tensor `name` in a state dict."""
    return any(f"{name}.{what}" in names for what in _BESIDE)


def bytes_of(packed: Packed) -> int:
    """In a file, beside nothing else."""
    return _bytes_of_codes(packed) + sum(one.nbytes for one in packed.beside().values())


def _bytes_of_codes(packed: Packed) -> int:
    if isinstance(packed, Grouped | Codebook) and is_in_bits(packed):
        return bytes_in_bits(packed.codes.numel(), packed.bits)
    return packed.codes.nbytes


def is_in_bits(packed: Packed) -> bool:
    return isinstance(packed, Codebook) or packed.kind == "grouped_bits"
