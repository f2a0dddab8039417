"""Figures as people read them: with their unit, and with no more digits than they are worth."""

from math import floor, log10

from app.core.intervals import Interval
from app.core.measurements import Metric

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_COUNT_UNITS = ("", " thousand", " million", " billion")


def digits(number: float, significant: int = 3) -> str:
    """`0.0312`, `4.81`, `1,240`: three significant digits, but every digit in front of the decimal point."""
    if number == 0:
        return "0"
    # Rounded first: 0.9996 is written as 1.00, not as 1.000.
    rounded = float(f"{abs(number):.{significant}g}")
    decimals = max(0, significant - 1 - floor(log10(rounded)))
    return f"{number:,.{decimals}f}"


def signed_digits(number: float) -> str:
    return f"{'−' if number < 0 else ''}{digits(abs(number))}"


def size(size_bytes: int) -> str:
    """Bytes in decimal units, as file managers and disk makers count: `4.81 MB`."""
    return _scaled(size_bytes, _BYTE_UNITS, separator=" ")


def count(number: int) -> str:
    """`421 thousand`, `1.2 million`; below 10,000 exactly."""
    return f"{number:,}" if number < 10_000 else _scaled(number, _COUNT_UNITS, separator="")


def _scaled(number: float, units: tuple[str, ...], separator: str) -> str:
    power = 0
    # 999.5 rounds to 1,000, which belongs to the next unit.
    while number >= 999.5 and power < len(units) - 1:
        number, power = number / 1000, power + 1
    return f"{digits(number) if power else f'{number:,.0f}'}{separator}{units[power]}"


def milliseconds(number: float) -> str:
    """Always in milliseconds, so that two of them can be compared at a glance."""
    return f"{digits(number)} ms"


def duration(seconds: float) -> str:
    """`8.4 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{digits(seconds, 2)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def megabytes(number: float) -> str:
    return f"{digits(number)} MB" if number >= 0.1 else "under 0.1 MB"


def ratio(number: float) -> str:
    return f"{digits(number, 2 if number >= 10 else 3)}×"


def percent(fraction: float, decimals: int = 1) -> str:
    return f"{100 * fraction:.{decimals}f} %"


def signed_percent(fraction: float) -> str:
    """Whole ones: `−7 %`."""
    return f"{100 * fraction:+.0f} %".replace("-", "−")


def quality(metric: Metric, value: float) -> str:
    """A fraction of examples in percent; a mean squared error as it is."""
    return digits(value) if metric == "mean_squared_error" else percent(value)


def quality_of_training(metric: Metric | None, value: float | None) -> str:
    """Empty where there is none."""
    if value is None:
        return ""
    return digits(value) if metric is None else quality(metric, value)


def change(metric: Metric, value: float) -> str:
    """Signed: `−0.3 points`, or in the unit of a mean squared error."""
    if metric == "mean_squared_error":
        return f"{'−' if value < 0 else '+'}{digits(abs(value))}"
    return f"{_signed(100 * value)} points"


def change_interval(metric: Metric, interval: Interval) -> str:
    low, high = interval
    if metric == "mean_squared_error":
        return f"{change(metric, low)} to {change(metric, high)}"
    return f"{_signed(100 * low)} to {_signed(100 * high)} points"


def _signed(number: float) -> str:
    rounded = f"{number:+.1f}"
    return "0.0" if float(rounded) == 0 else rounded.replace("-", "−")
