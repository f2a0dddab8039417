"""How large `model.safetensors` becomes, which stores no zeros where that is smaller."""

from collections.abc import Mapping

from torch import Tensor, nn

from worker.exporting.state_dict import stored_tensors, stored_without_zeros
from worker.packing.bitmask import mask_bytes, nonzero_values, saves_space

# What the file's header says of one tensor beside its name, at most; a sparse one is stored as three.
_HEADER_BYTES = 140
_LENGTH_AND_METADATA = 64


class StoredSize:
    """Of a network's file in bytes, at most: a header is some bytes shorter than it might be."""

    def __init__(self, module: nn.Module) -> None:
        self._weights, _ = stored_tensors(module)
        self._tensors = {n: (t.numel(), t.element_size(), nonzero_values(t)) for n, t in self._weights.items()}

    def deflated_without(self, removed: Mapping[str, Tensor]) -> int:
        """As `without`, and with what zlib makes of it, which takes seconds for large networks."""
        left = {n: t.masked_fill(removed[n], 0) if n in removed else t for n, t in self._weights.items()}
        stored = stored_without_zeros(left).items()
        return _LENGTH_AND_METADATA + sum(t.nbytes + len(name) + _HEADER_BYTES for name, t in stored)

    def without(self, removed: Mapping[str, Tensor]) -> int:
        """`removed` are masks by parameter name, of all zeros that these parameters then have."""
        total = _LENGTH_AND_METADATA
        for name, (values, bytes_each, nonzero) in self._tensors.items():
            left = int((~removed[name]).sum()) if name in removed else nonzero
            total += _stored_bytes(len(name), values, left, bytes_each)
        return total


def _stored_bytes(name_length: int, values: int, nonzero: int, bytes_each: int) -> int:
    header = name_length + _HEADER_BYTES
    if saves_space(values, nonzero, bytes_each):
        return mask_bytes(values) + nonzero * bytes_each + 3 * header
    return values * bytes_each + header
