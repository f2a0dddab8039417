"""Compress jobs from their upload to the files that would be published, without a service around them."""

from pathlib import Path

from app.core.job_files import DatasetFile, ModelFile
from app.core.job_options import JobOptions
from app.core.queue import Claim
from app.core.recipes import Step
from app.core.tasks import Compress, Measure, MeasureOptions, Time
from tests.core.rows import dataset_row, model_row
from tests.worker.jobs import silent
from worker.finishing import Made, Measured, finish
from worker.job_folder import JobFolder
from worker.pipeline import perform

NASTY = (
    "x: [&a </title><script>alert(1)</script> | `code` \"quoted\" 'too' #{{ 7*7 }} \x07\u2028 [link](//evil.example)"
)
NASTY += "\n---\n"


def finished(
    folder: Path,
    model: ModelFile,
    *steps: Step,
    outputs: tuple[str, ...] = ("onnx",),
    data: DatasetFile | None = None,
    name: str = "digits",
    disk_mb: int = 1000,
) -> Made:
    compression = perform(Compress(model=model, dataset=data, steps=steps, outputs=outputs, seed=0), folder, silent)
    model = model.model_copy(update={"inputs": compression.inputs})
    files = sorted(compression.files, key=lambda file: file.role != "upload")
    found = {
        file.name: perform(Measure(model=model, dataset=data, file=file, seed=0), folder, silent) for file in files
    }
    timing = Time(model=model, files=compression.files, measure=MeasureOptions(repeats=5), seed=0)
    measured = Measured(compression, found, perform(timing, folder, silent))
    request = {"recipe": {"steps": [step.model_dump() for step in steps]}, "outputs": list(outputs)}
    claim = Claim(
        job="job_1",
        attempt=1,
        kind="compress",
        owner="local",
        model="model_1",
        dataset=None,
        request=request,
        created_at=0.0,
        started_at=1.0,
    )
    row = model_row(name=name, size_bytes=5000, sha256="0" * 64)
    job = JobFolder(folder, row, dataset_row(name=name) if data else None)
    return finish(claim, job, JobOptions.model_validate(request), steps, measured, disk_mb)
