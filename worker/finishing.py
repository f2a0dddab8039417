"""After the children: one result out of their measurements, the reports, and the list of files to publish."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from app.core.choosing import FileFacts
from app.core.inputs import Inputs, tensor_inputs
from app.core.job_options import JobOptions, JobRequest
from app.core.jobs import artifact_url
from app.core.measurements import Result
from app.core.queue import Claim
from app.core.recipes import Step
from app.core.reports import REPORT_KINDS, ReportData, render
from app.core.results import assemble
from app.core.tasks import Compression, FileMeasurement, Timings, WrittenFile
from worker.job_folder import JobFolder


@dataclass(frozen=True)
class Measured:
    """What the children of a compress job answered."""

    compression: Compression
    measurements: dict[str, FileMeasurement]
    timings: Timings


@dataclass(frozen=True)
class Made:
    """`files` by the name under which each is published."""

    result: Result
    files: dict[str, Path]


def finish(claim: Claim, folder: JobFolder, options: JobOptions, steps: tuple[Step, ...], measured: Measured) -> Made:
    result = _result(claim, folder, options, measured)
    files = _delivered(folder, measured.compression, result)
    report = _report_data(claim, folder, options, steps, measured, result)
    for kind in REPORT_KINDS:
        path = folder.outputs / kind
        path.write_text(render(report, kind), encoding="utf-8")
        files[kind] = path
    return Made(result, files)


def _result(claim: Claim, folder: JobFolder, options: JobOptions, measured: Measured) -> Result:
    assert folder.model is not None
    result = assemble(
        measured.compression,
        measured.measurements,
        measured.timings,
        {path: _facts(folder.path / path) for path in _paths(measured.compression)},
        upload=FileFacts(size_bytes=folder.model.size_bytes, sha256=folder.model.sha256),
        minimize=options.minimize,
        seed=options.seed,
    )
    addressed = (
        artifact.model_copy(update={"url": artifact_url(claim.job, artifact.name)}) for artifact in result.artifacts
    )
    return result.model_copy(update={"artifacts": tuple(addressed)})


def _paths(compression: Compression) -> set[str]:
    written = (file for file in compression.files if file.role != "upload")
    return {path for file in written for path in (file.path, *file.companions)}


def _facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(size_bytes=path.stat().st_size, sha256=digest)


def _delivered(folder: JobFolder, compression: Compression, result: Result) -> dict[str, Path]:
    by_name: dict[str, WrittenFile] = {file.name: file for file in compression.files}
    files: dict[str, Path] = {}
    for artifact in result.artifacts:
        written = by_name[artifact.name]
        files[artifact.name] = folder.path / written.path
        files |= {Path(companion).name: folder.path / companion for companion in written.companions}
    return files


def _taken(compression: Compression) -> Inputs:
    """What the delivered files take."""
    return compression.inputs if compression.own_forward else tensor_inputs(compression.inputs)


def _report_data(
    claim: Claim, folder: JobFolder, options: JobOptions, steps: tuple[Step, ...], measured: Measured, result: Result
) -> ReportData:
    assert folder.model is not None
    request = JobRequest.model_validate({**claim.request, "model": folder.model.id})
    fields = {
        "job": claim.job,
        "request": request.model_copy(update={"seed": options.seed}),
        "steps": steps,
        "model_name": folder.model.name,
        "dataset_name": folder.dataset.name if folder.dataset else None,
        "inputs": _taken(measured.compression),
        "created_at": claim.created_at,
        "started_at": claim.started_at,
        "finished_at": time.time(),
        "result": result,
    }
    return ReportData.model_validate(fields)
