"""Arrays of a data set that no network can be judged by: refused with how many examples are to blame, and the first."""

import math
from collections.abc import Iterator

import numpy as np

from app.core.errors import Invalid
from worker.arrays import Array

_BYTES_AT_ONCE = 64 << 20
_FLOAT32 = np.dtype(np.float32)


def check_finite(name: str, array: Array) -> None:
    """Raises Invalid where an example holds NaN or infinity."""
    bad = _examples_not_finite(array, array.dtype)
    if bad.size:
        raise Invalid(
            f"{name} holds NaN or infinity in {_counted(bad, array)}. Remove such examples or fill the gaps.",
            code="values_not_finite",
            title="The data set holds values that are not finite",
        )


def check_fits_float32(name: str, array: Array) -> None:
    """Raises Invalid where an example of finite numbers becomes infinite in float32."""
    if array.dtype.itemsize <= _FLOAT32.itemsize:
        return
    bad = _examples_not_finite(array, _FLOAT32)
    if bad.size:
        raise Invalid(
            f"{name} holds numbers beyond {np.finfo(_FLOAT32).max:.1e}, the largest in float32, which networks compute "
            f"in, in {_counted(bad, array)}. Scale the data as they were scaled for training, or remove such examples.",
            code="values_too_large",
            title="The data set holds values that are too large",
        )


def _examples_not_finite(array: Array, dtype: np.dtype) -> np.ndarray:
    """Their positions; the array is read in parts."""
    if array.dtype.kind != "f":
        return np.array([], np.int64)
    return np.concatenate([start + _not_finite(part, dtype) for start, part in _parts(array)])


def _parts(array: Array) -> Iterator[tuple[int, np.ndarray]]:
    rows = max(1, _BYTES_AT_ONCE // (array.dtype.itemsize * max(1, math.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield start, array[slice(start, start + rows)]


def _not_finite(part: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        finite = np.isfinite(part.astype(dtype, copy=False))
    return np.flatnonzero(~finite.reshape(len(part), -1).all(axis=1))


def _counted(bad: np.ndarray, array: Array) -> str:
    return f"{bad.size:,} of its {len(array):,} examples, first in example {bad[0]}"
