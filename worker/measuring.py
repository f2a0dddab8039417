"""After the first child of a compress job: what the files that it wrote are worth."""

from collections.abc import Mapping, Sequence

from app.core.budgets import Budget
from app.core.errors import Problem
from app.core.job_files import ModelFile
from app.core.job_options import JobOptions
from app.core.results import contenders
from app.core.tasks import Compression, FileMeasurement, Judge, Judged, Measure, Time, Timings, WrittenFile
from worker.children_of_job import ChildrenOfJob
from worker.failures import Reported
from worker.finishing import Measured, facts_of_files, facts_of_upload
from worker.job_folder import JobFolder
from worker.messages import reported
from worker.refused_files import Refusal, unread, without_refused

# Of a job's progress.
COMPRESSED, MEASURED, TIMED = 0.5, 0.8, 1.0


def measure(children: ChildrenOfJob, folder: JobFolder, options: JobOptions, compression: Compression) -> Measured:
    model = folder.model_file().model_copy(update={"inputs": compression.inputs})
    if folder.budget is not None and not model.is_weights_alone:
        return _measure_trial(children, model, folder, folder.budget, options, compression)
    compression, measurements = _each_afresh(children, model, folder, options, compression)
    run = not model.is_weights_alone
    files = [file for file in compression.files if run and measurements[file.name].verified.loaded]
    return Measured(compression, measurements, _timed(children, model, options, files), children.peak_memory_mb)


def _measure_trial(
    children: ChildrenOfJob,
    model: ModelFile,
    folder: JobFolder,
    budget: Budget,
    options: JobOptions,
    compression: Compression,
) -> Measured:
    """A search has many, and measures the files of the best of them anew: quality first, then the time of those files
    that may be the best of this one."""
    compression, measurements = _judged(children, model, folder, options, compression)
    compression = contenders(
        compression,
        measurements,
        facts_of_files(folder, compression),
        facts_of_upload(folder),
        minimize=options.minimize,
        budget=budget,
    )
    formats = {file.format for file in compression.files if file.role == "artifact"}
    timed = [file for file in compression.files if file.role in ("upload", "artifact")]
    timed += [file for file in compression.files if file.role == "uncompressed" and file.format in formats]
    timings = _timed(children, model, options, timed, brief=True)
    return Measured(compression, measurements, timings, children.peak_memory_mb)


def _each_afresh(
    children: ChildrenOfJob, model: ModelFile, folder: JobFolder, options: JobOptions, compression: Compression
) -> tuple[Compression, dict[str, FileMeasurement]]:
    """Each file in a process of its own."""
    files = _files_in_order(compression)
    share = (MEASURED - COMPRESSED) / len(files)
    found: dict[str, FileMeasurement] = {}
    refused: dict[str, Problem] = {}
    for number, file in enumerate(files):
        task = Measure(model=model, dataset=folder.dataset_file(), file=file, seed=options.seed)
        try:
            answer = children.run(task, COMPRESSED + number * share, share)
        except Reported as problem:
            if file.role == "upload":
                raise
            refused[file.name] = problem
            continue
        assert isinstance(answer, FileMeasurement)
        found[file.name] = answer
    return _settled(compression, found, refused)


def _judged(
    children: ChildrenOfJob, model: ModelFile, folder: JobFolder, options: JobOptions, compression: Compression
) -> tuple[Compression, dict[str, FileMeasurement]]:
    """All files in one process."""
    files = _files_in_order(compression)
    task = Judge(model=model, dataset=folder.dataset_file(), files=files, seed=options.seed)
    answer = children.run(task, COMPRESSED, MEASURED - COMPRESSED)
    assert isinstance(answer, Judged)
    found = {each.name: each for each in answer.found}
    return _settled(compression, found, {name: reported(body) for name, body in answer.refused.items()})


def _files_in_order(compression: Compression) -> tuple[WrittenFile, ...]:
    """The upload first, since the others are compared with its answers. A file that has several names, as a step's and
    as an artifact, is there once, as an artifact."""
    by_role = sorted(compression.files, key=lambda file: (file.role == "upload", file.role == "artifact"))
    return tuple(reversed({file.path: file for file in by_role}.values()))


def _settled(
    compression: Compression, found: Mapping[str, FileMeasurement], refused: Mapping[str, Problem]
) -> tuple[Compression, dict[str, FileMeasurement]]:
    """What is delivered without the refused files; those that have several names get them all."""
    named = {file.name: file for file in compression.files}
    refusals = [Refusal(named[name], problem) for name, problem in refused.items()]
    by_path = {named[name].path: each for name, each in found.items()}
    by_path |= {refusal.file.path: unread(refusal.file) for refusal in refusals}
    compression = without_refused(compression, refusals)
    measurements = {file.name: by_path[file.path].model_copy(update={"name": file.name}) for file in compression.files}
    return compression, measurements


def _timed(
    children: ChildrenOfJob,
    model: ModelFile,
    options: JobOptions,
    files: Sequence[WrittenFile],
    *,
    brief: bool = False,
) -> Timings:
    task = Time(model=model, files=tuple(files), measure=options.measure, seed=options.seed, brief=brief)
    answer = children.run(task, MEASURED, TIMED - MEASURED)
    assert isinstance(answer, Timings)
    return answer
