"""Data that no network can be judged by: how many examples are to blame."""

import numpy as np
import pytest

from app.core.errors import Invalid
from worker import finite_arrays
from worker.finite_arrays import check_finite, check_fits_float32


def test_examples_are_counted_over_all_parts_of_a_large_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite_arrays, "_BYTES_AT_ONCE", 3 * 5 * 4)
    array = np.zeros((11, 5), np.float32)
    array[[4, 8, 10], [0, 2, 4]] = [np.nan, np.inf, -np.inf]
    with pytest.raises(Invalid, match="in 3 of its 11 examples, first in example 4"):
        check_finite("x_test", array)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float16, np.float32, np.float64])
def test_plain_numbers_pass(dtype: type) -> None:
    array = np.ones((4, 2), dtype)
    check_finite("x", array)
    check_fits_float32("x", array)


def test_what_float32_has_no_place_for_is_counted() -> None:
    array = np.array([[1.0], [1e39], [-1e300], [3e38]])
    check_finite("x", array)
    with pytest.raises(Invalid, match=r"x holds numbers beyond 3.4e\+38, .* in 2 of its 4 examples") as caught:
        check_fits_float32("x", array)
    assert caught.value.code == "values_too_large"
