"""Figures are short, carry their unit, and never round into the wrong one."""

import pytest

from app.core import figures


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figures.size(4_813_722), "4.81 MB"),
        (figures.size(999_700), "1.00 MB"),
        (figures.size(512), "512 B"),
        (figures.size(89_000), "89.0 kB"),
        (figures.count(421_642), "422 thousand"),
        (figures.count(1_200_000), "1.20 million"),
        (figures.count(9_999), "9,999"),
        (figures.milliseconds(0.0213), "0.0213 ms"),
        (figures.milliseconds(37.845), "37.8 ms"),
        (figures.milliseconds(1234.5), "1,234 ms"),
        (figures.duration(0.712), "0.71 s"),
        (figures.duration(780), "13 min"),
        (figures.duration(9000), "2.5 h"),
        (figures.megabytes(0.01), "under 0.1 MB"),
        (figures.ratio(3.946), "3.95×"),
        (figures.ratio(54.2), "54×"),
        (figures.quality("accuracy", 0.983), "98.3 %"),
        (figures.quality("mean_squared_error", 0.01234), "0.0123"),
        (figures.change("accuracy", -0.003), "−0.3 points"),
        (figures.change("accuracy", -0.0001), "0.0 points"),
        (figures.change_interval("accuracy", (-0.009, 0.003)), "−0.9 to +0.3 points"),
        (figures.change("mean_squared_error", 0.002), "+0.00200"),
    ],
)
def test_written_as_people_read_them(written: str, expected: str) -> None:
    assert written == expected
