"""Which of the most sensitive layers stay in float32: as few as bring the answers near enough."""

from collections.abc import Callable, Mapping, Sequence

# 20 dB: with such an error a classifier's first choice seldom changes.
NEAR_ENOUGH = 0.01
# A layer that holds more of the weights than this would cost the file what int8 is to save.
LARGEST_SHARE = 0.1
MOST_LAYERS = 0.25
# However small a layer is, in float32 it costs time.
LEAST_COST = 0.005


def kept_in_float(
    errors: Mapping[str, float], sizes: Mapping[str, int], error_with: Callable[[Sequence[str]], float]
) -> list[str]:
    """Names of layers. `errors` and `sizes` (number of weights) are by layer; `error_with` says how far the answers
    are off when those that it gets stay in float32.

    None, one, two, four... of the worst for their share of the weights are tried, up to a quarter of all; where no
    number is near enough, that of the least error is taken.
    """
    whole = sum(sizes.values())
    share = {name: sizes[name] / whole for name in errors}
    small = [name for name in errors if share[name] <= LARGEST_SHARE]
    worst_first = sorted(small, key=lambda name: -errors[name] / max(share[name], LEAST_COST))
    tried: dict[int, float] = {}
    for count in _counts(min(len(worst_first), round(MOST_LAYERS * len(errors)))):
        tried[count] = error_with(worst_first[:count])
        if tried[count] <= NEAR_ENOUGH:
            break
    return worst_first[: min(tried, key=lambda count: tried[count])]


def _counts(most: int) -> list[int]:
    doubling = [0, *(1 << power for power in range(most.bit_length()))]
    return sorted({min(count, most) for count in [*doubling, most]})
