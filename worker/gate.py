"""The job that ends a search: its last candidates' best files, and the upload, measured as those of any job are, on
examples that no trial saw.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app.core.database import Database
from app.core.errors import Problem
from app.core.job_files import ModelFile
from app.core.measurements import ArtifactResult, Latency, OutputFormat, Result, Speedup
from app.core.results import speedup_of
from app.core.storage import Storage
from app.core.studies.gate import GateFile, GateOptions, GateReading
from app.core.tables import ArtifactRow, JobRow
from app.core.tasks import Compress, Compression, FileMeasurement, Measure, Time, Timings, WrittenFile
from worker.children_of_job import ChildrenOfJob
from worker.job_folder import JobFolder

UPLOAD_READY, JUDGED = 0.3, 0.7


@dataclass(frozen=True)
class Finalist:
    job: str
    file: WrittenFile


def lend_finalists(
    database: Database, storage: Storage, folder: JobFolder, candidates: Sequence[str]
) -> tuple[Finalist, ...]:
    """The best file of each of these jobs, put into the folder with all that was delivered beside it."""
    with database.reading() as session:
        rows = {job: session.get_one(JobRow, job) for job in candidates}
        kept = session.scalars(select(ArtifactRow).where(ArtifactRow.job_id.in_(candidates))).all()
    for artifact in kept:
        target = folder.path / _path(artifact.job_id, artifact.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.lend(artifact.file_key, target)
    delivered = {job: [each.name for each in kept if each.job_id == job] for job in candidates}
    return tuple(
        Finalist(job, _best_file(job, Result.model_validate(rows[job].result), delivered[job])) for job in candidates
    )


def _path(job: str, name: str) -> str:
    return f"inputs/finalists/{job}/{name}"


def _best_file(job: str, result: Result, delivered: Sequence[str]) -> WrittenFile:
    best: ArtifactResult = next(each for each in result.artifacts if each.name == result.best)
    return WrittenFile(
        name=best.name,
        path=_path(job, best.name),
        companions=tuple(_path(job, name) for name in delivered if name == "network.json"),
        format=best.format,
        role="artifact",
        engine=best.engine,
        parameters=best.measured.parameters,
        nonzero_parameters=best.measured.nonzero_parameters,
        macs=best.measured.macs,
    )


def read_gate(
    children: ChildrenOfJob, folder: JobFolder, options: GateOptions, finalists: Sequence[Finalist]
) -> GateReading:
    """The upload answers first, since the others are compared with it."""
    written, model = _upload(children, folder, options)
    upload = next(file for file in written if file.role == "upload")
    share = (JUDGED - UPLOAD_READY) / (1 + len(finalists))
    files = (upload, *(finalist.file for finalist in finalists))
    before, *found = _measured(children, folder, model, options.seed, files, share)
    assert before.quality is not None
    times = _timed(children, model, options, written, finalists)
    return GateReading(
        baseline=before.quality,
        files=tuple(_read(finalist, each, before, times) for finalist, each in zip(finalists, found, strict=True)),
    )


def _upload(
    children: ChildrenOfJob, folder: JobFolder, options: GateOptions
) -> tuple[Sequence[WrittenFile], ModelFile]:
    """Files of it that can be run, and what it takes."""
    task = Compress(
        model=folder.model_file(), dataset=folder.dataset_file(), steps=(), outputs=options.outputs, seed=options.seed
    )
    answer = children.run(task, 0, UPLOAD_READY)
    assert isinstance(answer, Compression)
    model = folder.model_file().model_copy(update={"inputs": answer.inputs})
    return [file for file in answer.files if file.role in ("upload", "uncompressed")], model


def _measured(
    children: ChildrenOfJob, folder: JobFolder, model: ModelFile, seed: int, files: Sequence[WrittenFile], share: float
) -> Iterator[FileMeasurement]:
    for number, file in enumerate(files):
        task = Measure(model=model, dataset=folder.dataset_file(), file=file, seed=seed)
        answer = children.run(task, UPLOAD_READY + number * share, share)
        assert isinstance(answer, FileMeasurement)
        yield answer


@dataclass(frozen=True)
class _Times:
    """All of the same rounds, at the first batch size."""

    upload: Latency
    uncompressed: Mapping[OutputFormat, Latency]
    finalists: Mapping[str, Latency]
    seed: int

    def speedup(self, finalist: Finalist) -> Speedup | None:
        uncompressed = self.uncompressed.get(finalist.file.format, self.upload)
        return speedup_of(self.upload, uncompressed, self.finalists[finalist.job], self.seed)


def _timed(
    children: ChildrenOfJob,
    model: ModelFile,
    options: GateOptions,
    written: Sequence[WrittenFile],
    finalists: Sequence[Finalist],
) -> _Times:
    """Finalists' files have the same names, so that each takes that of its job."""
    named = [finalist.file.model_copy(update={"name": finalist.job}) for finalist in finalists]
    task = Time(model=model, files=(*written, *named), measure=options.measure, seed=options.seed)
    answer = children.run(task, JUDGED, 1 - JUDGED)
    assert isinstance(answer, Timings)
    first = {name: latencies[0] for name, latencies in answer.latencies.items()}
    return _Times(
        upload=next(first[file.name] for file in written if file.role == "upload"),
        uncompressed={file.format: first[file.name] for file in written if file.role == "uncompressed"},
        finalists={finalist.job: first[finalist.job] for finalist in finalists},
        seed=options.seed,
    )


def _read(finalist: Finalist, found: FileMeasurement, upload: FileMeasurement, times: _Times) -> GateFile:
    if found.quality is None or upload.quality is None or found.quality_change_ci95 is None:
        raise Problem(f"{finalist.file.name} of {finalist.job} has no quality. Report this with the job's log.")
    return GateFile(
        job=finalist.job,
        file=finalist.file.name,
        quality=found.quality,
        change=found.quality.value - upload.quality.value,
        change_ci95=found.quality_change_ci95,
        latency_ms=times.finalists[finalist.job].median,
        speedup=times.speedup(finalist),
        peak_memory_mb=found.peak_memory_mb,
        load_ms=found.load_ms,
    )
