"""Studies as callers see them."""

from typing import Literal

from pydantic import Field

from app.core.errors import ProblemBody
from app.core.jobs import Status
from app.core.measurements import Metric
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema
from app.core.studies.gate import GateReading
from app.core.studies.requests import StudyRequest
from app.core.times import Time

MetBudget = Literal["proved", "measured", "no"]


class StudyPoint(Schema):
    """One job: a recipe, run with one seed. Figures are of its best file, and null until it has succeeded.

    `speedup` is against the upload, timed beside it: times of different jobs were taken at different moments, so that
    jobs are compared by their `speedup`, not by their `latency_ms`.
    """

    job: str
    status: Status
    recipe: Recipe
    control: bool = Field(description="Added by the study, to be compared with: pruning at random, or by magnitude.")
    seed: int
    size_bytes: int | None = None
    latency_ms: float | None = None
    macs: int | None = None
    quality: float | None = None
    quality_change: float | None = None
    quality_change_ci95: tuple[float, float] | None = None
    speedup: float | None = None
    on_front: bool = False
    stopped_early: str | None = Field(None, description="Of a trial of a search that was hopeless, and canceled: why.")


class Spread(Schema):
    """Over the seeds; `standard_deviation` is of the sample, and null for one seed."""

    mean: float
    standard_deviation: float | None


class StudyGroup(Schema):
    """What one recipe came to with all seeds that succeeded."""

    recipe: Recipe
    control: bool
    jobs: tuple[str, ...]
    size_bytes: Spread
    latency_ms: Spread | None
    speedup: Spread | None
    macs: Spread | None
    quality: Spread | None
    on_front: bool


class StudyBaseline(Schema):
    """The upload, as the jobs measured it: `latency_ms` is the median over them."""

    size_bytes: int
    latency_ms: float | None
    macs: int | None
    quality: float | None


class Best(Schema):
    job: str
    met_budget: MetBudget
    why: str


class Saved(Schema):
    """`steps_shared` were taken over from another job of the study; all others, `steps_run`, were run."""

    steps_run: int
    steps_shared: int
    seconds_saved: float


class Failure(Schema):
    job: str
    recipe: Recipe
    control: bool
    seed: int
    error: ProblemBody


class StudyUrls(Schema):
    self: str
    events: str
    report: str
    cancel: str
    jobs: str


class StudySummary(Schema):
    id: str
    object: Literal["study"] = "study"
    name: str | None
    status: Status
    done: bool
    model: str | None
    dataset: str | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    urls: StudyUrls


class Study(StudySummary):
    """`request` can be posted again unchanged."""

    request: StudyRequest
    points: tuple[StudyPoint, ...]
    front: tuple[str, ...] = Field(description="Jobs that no other beats in size, time, MACs and quality together.")
    best: Best | None
    groups: tuple[StudyGroup, ...]
    baseline: StudyBaseline | None
    metric: Metric | None
    saved: Saved
    gate: GateReading | None = Field(None, description="Of a search: quality on the half that no trial saw.")
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


class ReportedStudy(Schema):
    """Names are what people called their uploads: text of any kind, never markup."""

    study: Study
    model_name: str
    dataset_name: str | None
