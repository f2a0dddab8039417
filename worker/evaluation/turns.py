"""A first look at which of several calls is the quickest, before files are timed."""

from collections.abc import Callable, Sequence
from statistics import median
from time import process_time

import torch

_MOST_ROUNDS, _FEWEST_ROUNDS = 20, 5
_ENOUGH_SECONDS = 1.0


def milliseconds_in_turns(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median of each, in time of the CPU. They take turns, so that whatever else the machine does befalls all.

    Up to 20 rounds; of slow calls five or more, until they have taken a second.
    """
    with torch.inference_mode():
        rounds = [[_milliseconds(call) for call in calls]]  # which warms up
        started = process_time()
        while len(rounds) <= _MOST_ROUNDS and not _is_enough(len(rounds) - 1, process_time() - started):
            rounds.append([_milliseconds(call) for call in calls])
    return [median(of_one) for of_one in zip(*rounds[1:], strict=True)]


def _is_enough(rounds: int, seconds: float) -> bool:
    return rounds >= _FEWEST_ROUNDS and seconds > _ENOUGH_SECONDS


def _milliseconds(call: Callable[[], object]) -> float:
    started = process_time()
    call()
    return 1e3 * (process_time() - started)
