"""How sure a number is: medians of repeated timings, ratios of them, and fractions of counted examples.

Plain Python, so that the supervisor can work a result out from raw samples without numpy.
"""

import random
from collections.abc import Callable, Sequence
from itertools import chain
from math import ceil, comb, erfc, sqrt
from statistics import median

Interval = tuple[float, float]

_Z95 = 1.959963984540054
_MOST_VALUES_DRAWN = 1_000_000
_MOST_COUNTED_EXACTLY = 2000
_HALVINGS = 40


def percentile_95(samples: Sequence[float]) -> float:
    """The nearest-rank 95th percentile: a value that was really seen."""
    return sorted(samples)[ceil(0.95 * len(samples)) - 1]


def ratio_of_medians(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    return median(numerators) / median(denominators)


def ratio_of_medians_ci95(numerators: Sequence[float], denominators: Sequence[float], seed: int) -> Interval:
    """A 95 % percentile interval of `ratio_of_medians` by the moving-block bootstrap (Kuensch, 1989).

    Sample i of both belongs to the same round, and rounds are drawn together, so that a disturbance that slows a
    whole round cancels. Runs of neighbouring rounds are drawn rather than single ones, because disturbances last
    longer than one round: single draws would give an interval that is too narrow. At most 1,000 resamples.
    """
    rounds = len(numerators)
    if rounds != len(denominators):
        raise ValueError("paired samples must be equally many")
    generator = random.Random(seed)  # noqa: S311 - a resample, not a secret
    resamples = max(200, min(1000, _MOST_VALUES_DRAWN // rounds))
    ratios = sorted(_resampled_ratio(numerators, denominators, generator) for _ in range(resamples))
    return ratios[int(0.025 * resamples)], ratios[ceil(0.975 * resamples) - 1]


def _resampled_ratio(numerators: Sequence[float], denominators: Sequence[float], generator: random.Random) -> float:
    rounds = len(numerators)
    block = max(1, round(rounds ** (1 / 3)))
    starts = generator.choices(range(rounds - block + 1), k=ceil(rounds / block))
    drawn = chain.from_iterable(numerators[start : start + block] for start in starts)
    against = chain.from_iterable(denominators[start : start + block] for start in starts)
    return median(drawn) / median(against)


def wilson_ci95(successes: float, examples: int) -> Interval:
    """A 95 % interval of a fraction `successes / examples` (Wilson, 1927)."""
    fraction = successes / examples
    spread = _Z95**2 / examples
    centre = (fraction + spread / 2) / (1 + spread)
    half = _Z95 * sqrt(fraction * (1 - fraction) / examples + spread / (4 * examples)) / (1 + spread)
    # At the ends the bound is exact, and rounding must not move it.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == examples else centre + half


def paired_change_ci95(lost: int, gained: int, examples: int) -> Interval:
    """A 95 % interval of a change in accuracy, both answers given on the same examples: the changes that a score test
    doesn't rule out (Tango, 1998). It stays wide where few answers differ, and where none does.

    `lost` were right before and are wrong now, `gained` the other way round; the rest didn't change.
    """
    change = (gained - lost) / examples

    def is_possible(supposed: float) -> bool:
        return abs(change - supposed) <= _Z95 * _score_error(supposed, lost, gained, examples)

    return _last_possible(is_possible, change, -1.0), _last_possible(is_possible, change, 1.0)


def _score_error(change: float, lost: int, gained: int, examples: int) -> float:
    """The standard error of a change in accuracy, if it were this one, with the likeliest share of lost answers."""
    linear = (2 * examples + lost - gained) * change - lost - gained
    product = lost * change * (1 - change)
    losing = (sqrt(linear**2 + 8 * examples * product) - linear) / (4 * examples)
    return sqrt(max(0.0, 2 * losing + change * (1 - change)) / examples)


def _last_possible(is_possible: Callable[[float], bool], possible: float, end: float) -> float:
    """Between what is possible and an end that may not be, by halving."""
    if is_possible(end):
        return end
    for _ in range(_HALVINGS):
        middle = (possible + end) / 2
        possible, end = (middle, end) if is_possible(middle) else (possible, middle)
    return possible


def mcnemar_p(lost: int, gained: int) -> float:
    """How probable so uneven a split is where neither answers better: two-sided, exact (McNemar, 1947; as a binomial
    test of the answers that differ). Above 2,000 of these by the normal approximation with Edwards's correction.
    """
    differing, fewer = lost + gained, min(lost, gained)
    if differing > _MOST_COUNTED_EXACTLY:
        return erfc(max(0, abs(lost - gained) - 1) / sqrt(2 * differing))
    tail = sum(comb(differing, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << differing))
