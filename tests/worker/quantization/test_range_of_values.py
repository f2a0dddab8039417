"""A tensor that torch computes gets the range that it would have in an ONNX file."""

from pathlib import Path

import pytest

from tests.worker.quantization.graphs import feeds
from tests.worker.quantization.test_ranges import METHODS, OUTLIER, ends, ranges
from worker.quantization.range_of_values import RangeOfValues


@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_what_it_finds_in_a_file(method: str, tmp_path: Path) -> None:
    found = RangeOfValues(method)
    for feed in feeds(OUTLIER, 512):
        found.collect(2 * feed["x"])
    assert found.ends() == pytest.approx(ends(ranges(tmp_path, OUTLIER, method)), rel=1e-3)
