"""Grouped codes as ONNX Runtime's MatMulNBits and GatherBlockQuantized take them: in blocks along each row.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from worker.packing.packed import Grouped

# The smallest block for which MatMulNBits has a quick kernel on x86, by the number of bits. In others (ONNX Runtime
# 1.31), such as 256 in 2 bits, it makes the weights float32 in each call: hundreds of times slower.
_SMALLEST = {8: 16, 4: 16, 2: 32}
_LARGEST = 128
# Where a group is whole rows, blocks may go beyond a row's end; smaller ones than this are slower.
_SMALL = 32


@dataclass(frozen=True)
class Blocks:
    """Codes of shape (rows, columns) in blocks of `size`; the last one of a row may be short.

    `codes` is of shape (rows, bytes), the first code lowest in each byte. `scale` has a value for each group, of shape
    (groups, 1). `zero_points` are packed as codes are, one for each block, of shape (rows, bytes): None where all are
    in the middle of the codes. Where they aren't whole, they are in `uneven`, as scales are, and codes are as if theirs
    were in the middle.
    """

    bits: int
    columns: int
    size: int
    codes: Tensor
    scale: Tensor
    zero_points: Tensor | None = None
    uneven: Tensor | None = None

    @property
    def rows(self) -> int:
        return len(self.codes)

    @property
    def in_row(self) -> int:
        return -(-self.columns // self.size)

    @property
    def missing_bytes(self) -> int:
        """Of each row, to the end of its last block."""
        return self.in_row * self.size * self.bits // 8 - self.codes.shape[1]

    @property
    def groups_in_row(self) -> int:
        """One where a group is several rows, too."""
        return max(1, len(self.scale) // self.rows)

    @property
    def middle(self) -> int:
        """The zero point where none is given."""
        return 1 << (self.bits - 1)


def in_blocks(packed: Grouped) -> Blocks | None:
    """The same levels. None where the groups can't be cut into whole blocks, or the bits have no kernel."""
    if packed.bits not in _SMALLEST or packed.codes.ndim != 2:
        return None
    rows, columns = packed.codes.shape
    size = _size(packed.codes.numel() // len(packed.scale), columns)
    if size < _SMALLEST[packed.bits]:
        return None
    codes, zero_point = _unsigned(packed)
    blocks = Blocks(packed.bits, columns, size, _in_bytes(codes, packed.bits), packed.scale.unsqueeze(1))
    if not torch.equal(zero_point, zero_point.round()):
        return Blocks(**vars(blocks) | {"uneven": zero_point.unsqueeze(1)})
    if bool((zero_point == zero_point[0]).all()):
        shifted = codes + (blocks.middle - int(zero_point[0]))
        if shifted.min() >= 0 and shifted.max() < 2**packed.bits:
            return Blocks(**vars(blocks) | {"codes": _in_bytes(shifted, packed.bits)})
    of_blocks = zero_point.repeat_interleave(rows * blocks.in_row // len(packed.scale)).reshape(rows, -1)
    return Blocks(**vars(blocks) | {"zero_points": _in_bytes(of_blocks, packed.bits)})


def _size(group: int, columns: int) -> int:
    size = _power_of_two_in(min(group, columns))
    if group < columns or size >= _SMALL:
        return size
    return max(_SMALL, min(_LARGEST, 1 << (columns - 1).bit_length()))


def _power_of_two_in(number: int) -> int:
    """The largest that divides it, up to the largest block."""
    return min(_LARGEST, number & -number)


def _unsigned(packed: Grouped) -> tuple[Tensor, Tensor]:
    """Codes, and a zero point for each group."""
    lowest = -128 if packed.codes.dtype is torch.int8 else 0
    given = packed.scale.new_zeros(1) if packed.zero_point is None else packed.zero_point
    return packed.codes.short() - lowest, given.float().expand(len(packed.scale)) - lowest


def _in_bytes(codes: Tensor, bits: int) -> Tensor:
    """Of each row; what its last byte lacks is zero."""
    in_byte = 8 // bits
    padded = torch.nn.functional.pad(codes.to(torch.uint8), (0, -codes.shape[1] % in_byte))
    whole = padded.reshape(len(codes), -1, in_byte)
    packed = whole[:, :, 0].clone()
    for place in range(1, in_byte):
        packed |= whole[:, :, place] << (place * bits)
    return packed
