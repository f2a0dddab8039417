"""Codes of a few bits as they lie in files. `worker/exporting/load_network.py` makes them whole again."""

import numpy as np
import torch
from torch import Tensor


def in_bits(codes: Tensor, bits: int) -> Tensor:
    """A row for each bit, the lowest first: of shape (bits, bytes), in each byte the first code's bit lowest.

    One layout for every number of bits, three too, at exactly that many bits a code.
    """
    places = torch.arange(bits, dtype=torch.uint8).unsqueeze(1)
    rows = codes.to(torch.uint8).flatten().bitwise_right_shift(places) & 1
    return torch.from_numpy(np.packbits(rows.numpy(), axis=1, bitorder="little"))


def bytes_in_bits(codes: int, bits: int) -> int:
    """What `in_bits` makes of so many codes."""
    return bits * -(-codes // 8)
