"""What a technique may use beside the network: data, the seed, and someone to tell."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.tasks import Message, Progress, Warn
from worker.data import NetworkData

Report = Callable[[Message], None]


@dataclass
class Run:
    """`share` is the part of the whole work (from, to) that the present step fills."""

    seed: int
    report: Report
    data: NetworkData | None = None
    step: int | None = None
    share: tuple[float, float] = (0.0, 1.0)
    warnings: list[str] = field(default_factory=list)
    _reported: float = 0.0

    def progress(self, fraction: float, message: str) -> None:
        """`fraction` is of the present share. What is reported never goes back."""
        start, end = self.share
        self._reported = max(self._reported, start + (end - start) * fraction)
        self.report(Progress(fraction=self._reported, message=message[:500], step=self.step))

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
            self.report(Warn(message=message[:2000]))

    def enter(self, share: tuple[float, float], step: int | None = None) -> None:
        self.share, self.step = share, step
