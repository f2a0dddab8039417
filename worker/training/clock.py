"""The time that a training has taken. Nothing but its end, by `seconds`, may depend on it."""

from time import perf_counter

SECONDS_BETWEEN_REPORTS = 1.0


class Clock:
    """`seconds` is the limit, None without one."""

    def __init__(self, seconds: float | None) -> None:
        self._limit = seconds
        self._started = self._lap_started = self._told = perf_counter()

    @property
    def is_over(self) -> bool:
        return self.fraction >= 1

    @property
    def fraction(self) -> float:
        """Of the limit, 0 without one."""
        return min(1.0, (perf_counter() - self._started) / self._limit) if self._limit else 0.0

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self._lap_started = self._lap_started, perf_counter()
        return self._lap_started - before

    def is_time_to_tell(self) -> bool:
        """True at most once a second."""
        now = perf_counter()
        if now - self._told < SECONDS_BETWEEN_REPORTS:
            return False
        self._told = now
        return True
