"""What a caller may say of a job."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.core.errors import FieldError, Invalid
from app.core.measurements import OutputFormat
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema
from app.core.settings import Settings
from app.core.tasks import MeasureOptions

Goal = Literal["latency", "size"]
Auto = Literal["auto"]
AUTO: Auto = "auto"
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class JobLimits(Schema):
    seconds: int = Field(3600, ge=1, le=604_800)
    memory_mb: int = Field(8192, ge=256, le=1 << 20)


class RunOptions(Schema):
    """What is said alike of one job and of all jobs of a study."""

    name: str | None = Field(None, max_length=200)
    outputs: Annotated[
        tuple[OutputFormat | Auto, ...],
        Field(
            min_length=1,
            description="Formats; or `auto` alone: every runtime and precision that fits is built and measured.",
        ),
    ] = ("onnx",)
    minimize: Goal = "latency"
    measure: MeasureOptions = MeasureOptions()
    limits: JobLimits = JobLimits()

    @model_validator(mode="after")
    def _names_each_output_once(self) -> "RunOptions":
        if len(set(self.outputs)) != len(self.outputs):
            raise ValueError("`outputs` names a format twice")
        if AUTO in self.outputs and len(self.outputs) > 1:
            raise ValueError("`auto` stands alone in `outputs`: it tries every format that fits")
        return self

    @property
    def formats(self) -> tuple[OutputFormat, ...]:
        """Those that are named; none with `auto`, for which the model decides (see `wanted_files`)."""
        return tuple(name for name in self.outputs if name != AUTO)


class JobOptions(RunOptions):
    """What a job may do; a whole job names a model and a data set too."""

    recipe: Recipe
    seed: Seed = 0


class JobRequest(JobOptions):
    model: str = Field(max_length=40, examples=["model_…"])
    dataset: str | None = Field(None, max_length=40, examples=["dataset_…"])


def check_limits(options: RunOptions, settings: Settings) -> None:
    """What is asked for beyond what the service gives; a default beyond it is lowered when the job runs."""
    most = {"seconds": settings.max_seconds, "memory_mb": settings.max_memory_mb}
    limits = options.limits
    errors = [
        FieldError(where=f"limits.{name}", message=f"the service gives {most[name]} at most")
        for name in most
        if name in limits.model_fields_set and getattr(limits, name) > most[name]
    ]
    if errors:
        told = " and ".join(f"`{each.where}`: {each.message}" for each in errors)
        raise Invalid(
            f"The job asks for more than there is, in {told}. Ask for less, or have "
            "MODELPRESS_MAX_SECONDS or MODELPRESS_MAX_MEMORY_MB raised.",
            code="limits_too_high",
            title="The job asks for more than the service gives",
            errors=errors,
        )
