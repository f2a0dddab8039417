"""A first look at which of several calls is the quickest, before files are timed."""

from collections.abc import Callable, Sequence
from statistics import median
from time import process_time

import torch

_ROUNDS = 20


def milliseconds_in_turns(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median of each, in time of the CPU. They take turns, so that whatever else the machine does befalls all."""
    with torch.inference_mode():
        rounds = [[_milliseconds(call) for call in calls] for _ in range(1 + _ROUNDS)]
    return [median(of_one) for of_one in zip(*rounds[1:], strict=True)]  # the first round warms up


def _milliseconds(call: Callable[[], object]) -> float:
    started = process_time()
    call()
    return 1e3 * (process_time() - started)
