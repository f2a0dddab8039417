"""After the children: one result out of their measurements, the reports, the bundle, and the files to publish."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from app.core.bundles import CARD, Bundle, model_card
from app.core.choosing import FileFacts
from app.core.inputs import Inputs, tensor_inputs
from app.core.job_options import JobOptions, JobRequest
from app.core.jobs import artifact_url
from app.core.measurements import Prediction, Result
from app.core.queue import Claim
from app.core.recipes import Step
from app.core.reports import REPORT_KINDS, ReportData, render
from app.core.results import assemble
from app.core.tasks import Compression, FileMeasurement, Timings, WrittenFile
from worker import usage
from worker.job_folder import JobFolder

BUNDLE = "bundle.zip"
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Measured:
    """What the children of a compress job answered, and the most that one of them held meanwhile."""

    compression: Compression
    measurements: dict[str, FileMeasurement]
    timings: Timings
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Made:
    """`files` by the name under which each is published."""

    result: Result
    files: dict[str, Path]


def finish(
    claim: Claim,
    folder: JobFolder,
    options: JobOptions,
    steps: tuple[Step, ...],
    measured: Measured,
    disk_mb: int,
    plan: Prediction | None = None,
) -> Made:
    """`disk_mb` is what the job may have in its folder in all; `plan` is what was predicted of it."""
    result = _result(claim, folder, options, measured).model_copy(
        update={"plan": plan, "peak_memory_mb": measured.peak_memory_mb}
    )
    bundle = _bundle(folder, measured, result)
    has_room = _has_room(folder, bundle, disk_mb)
    if not has_room:
        result = _without_bundle(result, disk_mb)
    report = _report_data(claim, folder, options, steps, measured, result)
    files = _delivered(folder, measured.compression, result) | _written(folder, report)
    if has_room:
        files[BUNDLE] = folder.outputs / BUNDLE
        bundle.write(files[BUNDLE], report)
    return Made(result, files)


def _written(folder: JobFolder, report: ReportData) -> dict[str, Path]:
    """The reports and the model card."""
    texts: dict[str, str] = {kind: render(report, kind) for kind in REPORT_KINDS}
    texts[CARD] = model_card(report)
    for name, text in texts.items():
        (folder.outputs / name).write_text(text, encoding="utf-8")
    return {name: folder.outputs / name for name in texts}


def _bundle(folder: JobFolder, measured: Measured, result: Result) -> Bundle:
    sample = measured.measurements[result.best].sample
    best = next(file for file in measured.compression.files if file.name == result.best)
    return Bundle(_paths_of(folder, best), folder.path / sample if sample else None)


def _has_room(folder: JobFolder, bundle: Bundle, disk_mb: int) -> bool:
    return usage.disk_mb(folder.outputs) + bundle.size_bytes() / _MEBIBYTE <= disk_mb


def _without_bundle(result: Result, disk_mb: int) -> Result:
    told = (
        f"{BUNDLE} was left out: with the job's other files it would take more than the {disk_mb} MB that a job "
        "may have on disk. Ask for fewer outputs or steps, or have MODELPRESS_DISK_MB raised."
    )
    return result.model_copy(update={"warnings": (*result.warnings, told)})


def _result(claim: Claim, folder: JobFolder, options: JobOptions, measured: Measured) -> Result:
    assert folder.model is not None
    result = assemble(
        measured.compression,
        measured.measurements,
        measured.timings,
        facts_of_files(folder, measured.compression),
        upload=facts_of_upload(folder),
        minimize=options.minimize,
        seed=options.seed,
        budget=folder.budget,
    )
    addressed = (
        artifact.model_copy(update={"url": artifact_url(claim.job, artifact.name)}) for artifact in result.artifacts
    )
    return result.model_copy(update={"artifacts": tuple(addressed)})


def facts_of_files(folder: JobFolder, compression: Compression) -> dict[str, FileFacts]:
    """By path, of all that were written."""
    return {path: _facts(folder.path / path) for path in _paths(compression)}


def facts_of_upload(folder: JobFolder) -> FileFacts:
    assert folder.model is not None
    return FileFacts(size_bytes=folder.model.size_bytes, sha256=folder.model.sha256)


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
        files |= _paths_of(folder, by_name[artifact.name])
    return files


def _paths_of(folder: JobFolder, written: WrittenFile) -> dict[str, Path]:
    """The file and its companions, by the names under which each is published."""
    companions = {Path(companion).name: folder.path / companion for companion in written.companions}
    return {written.name: folder.path / written.path, **companions}


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
