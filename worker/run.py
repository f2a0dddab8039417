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

    def progress(self, fraction: float, message: str) -> None:
        start, end = self.share
        self.report(Progress(fraction=start + (end - start) * fraction, message=message[:500], step=self.step))

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
            self.report(Warn(message=message[:2000]))

    def enter_step(self, position: int, steps: int, start: float, end: float) -> None:
        """Progress from here on is of one step among `steps`, which share what lies between `start` and `end`."""
        width = (end - start) / steps
        self.step, self.share = position, (start + position * width, start + (position + 1) * width)

    def leave_steps(self, start: float) -> None:
        self.step, self.share = None, (start, 1.0)
