"""Packed tensors as zlib streams, where that makes them smaller (docs/decisions has why zlib)."""

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

_LEVEL = 9
_FEWEST_BYTES = 1024
_SMALLER = 0.95


def deflated(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, dict[str, object]]]:
    """The tensors, streams of uint8 in place of those that are smaller so; and what those are made of."""
    stored, described = dict(tensors), dict[str, dict[str, object]]()
    for name, tensor in tensors.items():
        stream = _stream(tensor)
        if stream is not None:
            stored[name] = stream
            described[name] = {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
    return stored, described


def _stream(tensor: Tensor) -> Tensor | None:
    size = tensor.numel() * tensor.element_size()
    if size < _FEWEST_BYTES:
        return None
    stream = zlib.compress(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes(), _LEVEL)
    return torch.frombuffer(bytearray(stream), dtype=torch.uint8) if len(stream) < _SMALLER * size else None
