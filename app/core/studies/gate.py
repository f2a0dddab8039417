"""What the gate half of the test examples says: read once, when a search is over, for its last candidates alone."""

from math import ceil

from pydantic import Field

from app.core.budgets import ROUNDING, drop_interval, drop_of
from app.core.job_options import JobLimits
from app.core.measurements import Metric, OutputFormat, Quality, Speedup
from app.core.schemas import Schema
from app.core.tasks import MeasureOptions

# Each interval is wrong on the bad side in 2.5 % of cases at most; whichever is taken, in so many times that, if all of
# them lose just what is allowed. Only the first two are likely to: of the others the choice half has left less
# doubt.
MOST_CANDIDATES = 5


class GateOptions(Schema):
    """Of a job of kind `gate`. `outputs` are the formats of the candidates' files."""

    candidates: tuple[str, ...] = Field(min_length=1, max_length=MOST_CANDIDATES, description="Jobs of the search.")
    outputs: tuple[OutputFormat, ...]
    seed: int
    measure: MeasureOptions = MeasureOptions()
    limits: JobLimits = JobLimits()


class GateFile(Schema):
    """A candidate's best file, measured as those of any job are: in a process of its own, and timed beside the upload.
    `change` is against the upload's answers to the same examples, its interval paired.
    """

    job: str
    file: str
    quality: Quality
    change: float
    change_ci95: tuple[float, float]
    latency_ms: float | None = None
    speedup: Speedup | None = None
    peak_memory_mb: float | None = None
    load_ms: float | None = None


class GateReading(Schema):
    """`baseline` is the upload's quality on the same examples."""

    baseline: Quality
    files: tuple[GateFile, ...]

    @property
    def metric(self) -> Metric:
        return self.baseline.metric

    def drop(self, file: GateFile) -> float:
        return drop_of(self.metric, file.change)

    def largest_drop(self, file: GateFile) -> float:
        """That is likely: the end of the 95 % interval."""
        return drop_interval(self.metric, file.change_ci95)[1]

    def examples_to_prove(self, file: GateFile, allowed: float) -> int | None:
        """How many examples it would take until the interval lies inside what is allowed, if their answers differed as
        often as here; None where no number would do. An interval shrinks with the square root of their number.
        """
        drop, margin = self.drop(file), allowed - self.drop(file)
        if margin <= ROUNDING:
            return None
        return ceil(file.quality.examples * ((self.largest_drop(file) - drop) / margin) ** 2)
