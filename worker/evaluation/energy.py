"""What a call costs in energy: by the CPU's own counters where they may be read, else by a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from app.core.measurements import Energy

POWERCAP = Path("/sys/devices/virtual/powercap/intel-rapl")
WATTS_OF_A_CORE = 10.0
SECONDS_OF_CALLS = 0.25
_FEWEST_CALLS = 3


@dataclass(frozen=True)
class Counter:
    """Of one CPU package (Intel's RAPL, which AMD has too): microjoules, from 0 again after `largest`."""

    path: Path
    largest: int

    def read(self) -> int:
        return int(self.path.read_text())

    def since(self, start: int) -> int:
        return (self.read() - start) % (self.largest + 1)


def counters(folder: Path = POWERCAP) -> tuple[Counter, ...]:
    """Of all packages; none where one can't be read, as is usual for all but root."""
    try:
        found = tuple(
            Counter(package / "energy_uj", int((package / "max_energy_range_uj").read_text()))
            for package in sorted(folder.glob("intel-rapl:*"))
        )
        for counter in found:
            counter.read()
    except (OSError, ValueError):
        return ()
    return found


def energy_of(call: Callable[[], object], cpu_ms: float, read_from: Sequence[Counter]) -> Energy:
    """Of one call, which takes `cpu_ms` of CPU time.

    The counters are read around a quarter of a second of calls, and count all that the packages do. The model is 10 W
    for each core that works: near what a busy core of a server takes, and the same for every file, so that it says no
    more than the CPU time does.
    """
    if not read_from:
        return Energy(millijoules=cpu_ms * WATTS_OF_A_CORE, source="model")
    starts = [counter.read() for counter in read_from]
    calls, end = 0, perf_counter() + SECONDS_OF_CALLS
    while calls < _FEWEST_CALLS or perf_counter() < end:
        call()
        calls += 1
    microjoules = sum(counter.since(start) for counter, start in zip(read_from, starts, strict=True))
    return Energy(millijoules=microjoules / calls / 1000, source="rapl")
