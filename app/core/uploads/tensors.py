"""A tensor's place in its storage: is it inside, and does every element have a place of its own?"""

import math
from typing import cast

from app.core.uploads import limits
from app.core.uploads.dtypes import Dtype
from app.core.uploads.pickle_values import Storage, Tensor, UnsupportedTensor
from app.core.uploads.refusals import refusal


def described_tensor(
    storage: Storage, dtype: Dtype, offset: object, shape: object, strides: object
) -> Tensor | UnsupportedTensor:
    """A tensor over `storage`, `offset` and `strides` in elements; Invalid when it reaches outside."""
    if not (_is_size(offset) and _are_sizes(shape) and _are_sizes(strides)):
        raise refusal(
            "malformed_tensor", "A tensor's offset, shape or strides are not whole numbers that torch would write."
        )
    tensor = Tensor(
        storage, dtype, cast(int, offset), tuple(cast(tuple[int, ...], shape)), tuple(cast(tuple[int, ...], strides))
    )
    if len(tensor.shape) != len(tensor.strides) or element_count(tensor.shape) > limits.TENSOR_ELEMENTS:
        raise refusal("malformed_tensor", f"A tensor of shape {tensor.shape} has strides {tensor.strides}.")
    if (tensor.offset + _reach(tensor)) * dtype.size > storage.size:
        raise refusal(
            "malformed_tensor",
            f"A tensor of shape {tensor.shape} reaches outside its storage of {storage.size} bytes.",
        )
    if _overlaps(tensor):
        return UnsupportedTensor("expanded (the same elements several times; call .clone() before saving)")
    return tensor if dtype.safetensors else UnsupportedTensor(dtype.name)


def element_count(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def byte_count(tensor: Tensor) -> int:
    return element_count(tensor.shape) * tensor.dtype.size


def is_contiguous(tensor: Tensor) -> bool:
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= limits.TENSOR_ELEMENTS


def _are_sizes(values: object) -> bool:
    return isinstance(values, tuple | list) and len(values) <= limits.TENSOR_RANK and all(map(_is_size, values))


def _reach(tensor: Tensor) -> int:
    """How many elements from the first to the last one, both counted."""
    if 0 in tensor.shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))


def _overlaps(tensor: Tensor) -> bool:
    """True unless, from the smallest stride to the largest, each one steps over all that the smaller ones reach."""
    reached = 0
    for stride, size in sorted(zip(tensor.strides, tensor.shape, strict=True)):
        if size > 1 and stride <= reached and element_count(tensor.shape):
            return True
        reached += (size - 1) * stride
    return False
