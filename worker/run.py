"""What a technique may use beside the network: data, the seed, the upload, and someone to tell."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite

from app.core.details import DetailTable, Value
from app.core.measurements import Epoch, Metric, OutputFormat
from app.core.messages import EpochEnded, Message, Progress, Warn
from worker.data import NetworkData
from worker.details import Details
from worker.network import Network

Report = Callable[[Message], None]


def _no_other_model(model_id: str) -> Network:
    raise LookupError(f"no step named {model_id}")


@dataclass
class _Furthest:
    """What was reported last; the copies of a run have it in common."""

    fraction: float = 0.0


@dataclass
class Run:
    """`upload` is the network as it was loaded, before any step: the teacher of those who name no other. It must not
    be changed; a technique works on a copy.

    `network_of` loads a model that the present step names in its `models`, by its id, afresh each time; it raises
    `Invalid` where that can't be edited. `formats` are those in which files will be written. `share` is the part of the
    whole work (from, to) that the present step fills; `epochs` and `details` are what it has said of itself.
    """

    seed: int
    report: Report
    upload: Network
    data: NetworkData | None = None
    network_of: Callable[[str], Network] = _no_other_model
    formats: tuple[OutputFormat, ...] = ()
    step: int | None = None
    share: tuple[float, float] = (0.0, 1.0)
    warnings: list[str] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    details: Details = field(default_factory=Details)
    _furthest: _Furthest = field(default_factory=_Furthest)

    def progress(self, fraction: float, message: str) -> None:
        """`fraction` is of the present share. What is reported never goes back."""
        start, end = self.share
        self._furthest.fraction = max(self._furthest.fraction, start + (end - start) * fraction)
        self.report(Progress(fraction=self._furthest.fraction, message=message[:500], step=self.step))

    def epoch(
        self,
        *,
        epoch: int,
        epochs: int,
        loss: float,
        learning_rate: float,
        seconds: float,
        metric: Metric | None = None,
        training_quality: float | None = None,
        validation_quality: float | None = None,
        best: bool = True,
    ) -> None:
        """A point of the learning curve, see `app.core.measurements.Epoch`; `epoch` counts from 1, `loss` is finite."""
        ended = Epoch(
            epoch=epoch,
            epochs=epochs,
            loss=loss,
            learning_rate=learning_rate,
            seconds=seconds,
            metric=metric,
            training_quality=_finite(training_quality),
            validation_quality=_finite(validation_quality),
            best=best,
        )
        self.epochs.append(ended)
        self.report(EpochEnded(step=self.step or 0, epoch=ended))

    def detail(self, table: str, /, **row: Value) -> None:
        """A row of a table that the report shows with the present step, or with the file that is written after all
        steps, such as what a layer lost: `run.detail("Channels", layer="conv1", before=64, after=32)`."""
        self.details.add(table, row)

    def take_details(self) -> tuple[DetailTable, ...]:
        """The tables so far; what is said from now on is of something else."""
        taken, self.details = self.details.tables(), Details()
        return taken

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
            self.report(Warn(message=message[:2000]))

    def silenced(self) -> "Run":
        """One that nobody hears, for work that is only tried."""
        return replace(
            self, report=lambda _message: None, warnings=[], epochs=[], details=Details(), _furthest=_Furthest()
        )

    def enter(self, share: tuple[float, float], step: int | None = None) -> None:
        self.share, self.step, self.epochs, self.details = share, step, [], Details()


def _finite(quality: float | None) -> float | None:
    return quality if quality is not None and isfinite(quality) else None
