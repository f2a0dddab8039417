"""The range that loses least information: Migacz, 8-bit Inference with TensorRT, 2017."""

from collections.abc import Iterator

import numpy as np

LEVELS = 128
# What an empty bin counts as, so that no ratio is infinite.
_SMOOTHING = 1e-4


def ends_of_least_divergence(counts: np.ndarray, edges: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Of the ranges about the middle bin, which holds zero, that whose 128 levels have the smallest KL divergence from
    the values of `counts`, those beyond it at its ends. Within `low` and `high`, which are the extremes.

    Finds what ONNX Runtime's `get_entropy_threshold` finds, which adds up bin by bin.
    """
    middle = counts.size // 2
    totals = np.concatenate([[0], counts.cumsum()])
    divergences = list(_divergences(counts, totals, middle))
    reach = LEVELS // 2 + int(np.argmin(divergences))
    first, last = edges[middle - reach], edges[min(middle + reach + 1, counts.size)]
    return max(float(first), low), min(float(last), high)


def _divergences(counts: np.ndarray, totals: np.ndarray, middle: int) -> Iterator[float]:
    """For each number of bins on either side."""
    for reach in range(LEVELS // 2, middle + 1):
        start, end = middle - reach, min(middle + reach + 1, counts.size)
        inside = counts[start:end]
        clipped = inside.copy()
        clipped[0] += totals[start]
        clipped[-1] += totals[-1] - totals[end]
        yield _divergence(clipped, _in_levels(inside, clipped != 0))


def _in_levels(inside: np.ndarray, used: np.ndarray) -> np.ndarray:
    """As many bins as `inside`; the count of each level is spread over those of its bins that are `used`."""
    width = inside.size // LEVELS
    whole = LEVELS * width
    of_level = inside[:whole].reshape(LEVELS, width).sum(axis=1)
    of_level[-1] += inside[whole:].sum()
    among = used[:whole].reshape(LEVELS, width).sum(axis=1)
    spread = np.zeros(inside.size, dtype=np.int64)
    spread[:whole] = np.repeat(of_level // np.maximum(among, 1) * (among > 0), width)
    return spread


def _divergence(wanted: np.ndarray, given: np.ndarray) -> float:
    p, q = _smoothed(wanted), _smoothed(given)
    if p is None or q is None:
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def _smoothed(counts: np.ndarray) -> np.ndarray | None:
    """Empty bins get a little, which the others give; None where all are empty."""
    used = counts != 0
    number = int(used.sum())
    if number == 0:
        return None
    taken = _SMOOTHING * (counts.size - number) / number
    return np.where(used, counts.astype(np.float32) - np.float32(taken), np.float32(_SMOOTHING))
