"""What a report is made from."""

from app.core.inputs import Inputs
from app.core.job_options import JobRequest
from app.core.measurements import ArtifactResult, Result
from app.core.recipes import Step
from app.core.recipes.recipe import Recipe
from app.core.schemas import Schema
from app.core.times import Time


class ReportData(Schema):
    """`request` as it was sent, `steps` as they were run: where it named a preset, those of the preset.

    Names are what people called their uploads: text of any kind, never markup.
    """

    job: str
    request: JobRequest
    steps: tuple[Step, ...]
    model_name: str
    dataset_name: str | None
    inputs: Inputs
    created_at: Time
    started_at: Time
    finished_at: Time
    result: Result

    @property
    def best(self) -> ArtifactResult:
        return next(artifact for artifact in self.result.artifacts if artifact.name == self.result.best)

    @property
    def seconds(self) -> float:
        """That the job took."""
        return (self.finished_at - self.started_at).total_seconds()

    def request_again(self) -> JobRequest:
        """A body for POST /v1/jobs that runs the same steps, whatever a preset may mean by then."""
        return self.request.model_copy(update={"recipe": Recipe(steps=self.steps)})
