"""Measurements of single files -> a job's result: which file is best, and what was gained against the upload."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import inf

from app.core.budgets import Budget
from app.core.choosing import Bounds, Choice, FileFacts, MeasuredFile, choose, slower_than_float, worth_timing
from app.core.errors import Problem
from app.core.intervals import ratio_of_medians, ratio_of_medians_ci95
from app.core.job_options import Goal
from app.core.measurements import (
    ArtifactResult,
    Comparison,
    Latency,
    Measurement,
    Noise,
    Result,
    Speedup,
    StepResult,
)
from app.core.result_warnings import (
    OF_A_TRIAL,
    loses_quality,
    outdone_by_float,
    slower_quantized,
    slower_than_tried,
    warnings_about,
    warnings_about_noise,
    warnings_about_training,
)
from app.core.tasks import Compression, FileMeasurement, Timings, WrittenFile


def assemble(
    compression: Compression,
    measurements: Mapping[str, FileMeasurement],
    timings: Timings,
    written: Mapping[str, FileFacts],
    *,
    upload: FileFacts,
    minimize: Goal,
    seed: int,
    budget: Budget | None = None,
) -> Result:
    """`measurements` by file name; `written` by path relative to the job's folder, companions too; `upload` is of the
    file as it was uploaded, whatever it was turned into to be run. The best file is one that keeps to the `budget`.

    Only the files named in the result's `artifacts`, with their companions, are to be delivered.
    """
    files = [_measured(file, measurements[file.name], written, upload, timings.latencies) for file in compression.files]
    baseline = next(each for each in files if each.file.role == "upload")
    bounds = None if budget is None else Bounds(budget, baseline.measurement.quality)
    choice = choose([each for each in files if each.file.role == "artifact"], minimize, seed, bounds)
    best = choice.best
    steps = _steps(compression, files, best)
    comparison = _compared(baseline, _uncompressed(files, baseline, best, compression), best, seed)
    noise = _noise(baseline.latency, timings.again, seed)
    return Result(
        baseline=baseline.measurement,
        compressed=best.measurement,
        steps=steps,
        best=best.file.name,
        comparison=comparison,
        artifacts=tuple(_artifact(each) for each in choice.delivered),
        environment=timings.environment,
        layers=compression.layers,
        noise=noise,
        warnings=(
            *(() if budget is None else (OF_A_TRIAL,)),
            *_warnings(compression, timings, files, choice),
            *_slower_than_tried(choice, seed),
            *warnings_about(baseline.measurement, best.measurement, comparison, best.file.format),
            *warnings_about_training(steps),
            *warnings_about_noise(noise, (*baseline.measurement.latency_ms, *best.measurement.latency_ms)),
        ),
    )


def contenders(
    compression: Compression,
    measurements: Mapping[str, FileMeasurement],
    written: Mapping[str, FileFacts],
    upload: FileFacts,
    *,
    minimize: Goal,
    budget: Budget,
) -> Compression:
    """Before anything is timed: the same without the artifacts that aren't worth it."""
    files = [_measured(file, measurements[file.name], written, upload, {}) for file in compression.files]
    baseline = next(each for each in files if each.file.role == "upload")
    bounds = Bounds(budget, baseline.measurement.quality)
    kept = worth_timing([each for each in files if each.file.role == "artifact"], minimize, bounds)
    others = [each for each in files if each.file.role != "artifact"]
    return compression.model_copy(update={"files": tuple(each.file for each in (*others, *kept))})


def _measured(
    file: WrittenFile,
    found: FileMeasurement,
    written: Mapping[str, FileFacts],
    upload: FileFacts,
    latencies: Mapping[str, Sequence[Latency]],
) -> MeasuredFile:
    facts = [upload] if file.role == "upload" else [written[path] for path in (file.path, *file.companions)]
    measurement = Measurement(
        size_bytes=sum(each.size_bytes for each in facts),
        parameters=file.parameters,
        nonzero_parameters=file.nonzero_parameters if found.nonzero_parameters is None else found.nonzero_parameters,
        macs=file.macs,
        latency_ms=tuple(latencies.get(file.name, ())),
        peak_memory_mb=found.peak_memory_mb,
        quality=found.quality,
        load_ms=found.load_ms,
    )
    return MeasuredFile(file, facts[0], found, measurement)


def _uncompressed(
    files: Sequence[MeasuredFile], upload: MeasuredFile, best: MeasuredFile, compression: Compression
) -> MeasuredFile:
    """The network before any step, in the best file's runtime; in torch that is the upload itself."""
    if not compression.steps and best.file.precision is None:
        return best
    return next(
        (each for each in files if each.file.role == "uncompressed" and each.file.format == best.file.format), upload
    )


def _compared(upload: MeasuredFile, uncompressed: MeasuredFile, best: MeasuredFile, seed: int) -> Comparison:
    before, after = upload.measurement, best.measurement
    return Comparison(
        size_ratio=before.size_bytes / after.size_bytes,
        parameter_ratio=before.parameters / after.parameters if after.parameters else 1.0,
        macs_ratio=before.macs / after.macs if before.macs and after.macs else None,
        speedup=speedup_of(upload.latency, uncompressed.latency, best.latency, seed),
        quality_change=after.quality.value - before.quality.value if after.quality and before.quality else None,
        quality_change_ci95=best.found.quality_change_ci95,
        paired=best.found.paired,
    )


def speedup_of(upload: Latency | None, uncompressed: Latency | None, best: Latency | None, seed: int) -> Speedup | None:
    """None where the files hold weights alone, of which nothing is timed. All were timed in the same rounds."""
    if upload is None or uncompressed is None or best is None:
        return None
    runtime_only = ratio_of_medians(upload.samples, uncompressed.samples)
    compression_only = ratio_of_medians(uncompressed.samples, best.samples)
    return Speedup(
        median=runtime_only * compression_only,
        ci95=ratio_of_medians_ci95(upload.samples, best.samples, seed),
        runtime_only=runtime_only,
        compression_only=compression_only,
    )


def _noise(upload: Latency | None, again: Latency | None, seed: int) -> Noise | None:
    if upload is None or again is None:
        return None
    ratio = ratio_of_medians(upload.samples, again.samples)
    return Noise(ratio=ratio, ci95=ratio_of_medians_ci95(upload.samples, again.samples, seed))


def _steps(compression: Compression, files: Sequence[MeasuredFile], best: MeasuredFile) -> tuple[StepResult, ...]:
    return tuple(
        StepResult(
            technique=step.technique,
            seconds=step.seconds,
            run_by=step.run_by,
            epochs=step.epochs,
            details=step.details,
            after=_after(position, len(compression.steps), files, best).measurement,
        )
        for position, step in enumerate(compression.steps)
    )


def _after(position: int, steps: int, files: Sequence[MeasuredFile], best: MeasuredFile) -> MeasuredFile:
    """The file written after a step; where the last one has none of its own, the best artifact, which carries all."""
    for each in files:
        if each.file.role == "step" and each.file.step == position:
            return each
    if position == steps - 1:
        return best
    raise Problem(f"No file was measured after step {position}. Report this with the job's log.", step=position)


def _artifact(each: MeasuredFile) -> ArtifactResult:
    return ArtifactResult(
        name=each.file.name,
        format=each.file.format,
        size_bytes=each.facts.size_bytes,
        sha256=each.facts.sha256,
        measured=each.measurement,
        verified=each.found.verified,
        arithmetic=each.found.arithmetic,
        engine=each.file.engine,
        details=each.file.details,
    )


def _warnings(
    compression: Compression, timings: Timings, files: Sequence[MeasuredFile], choice: Choice
) -> tuple[str, ...]:
    """Those of the children, each once, and those about the choice of files."""
    told = (*compression.warnings, *timings.warnings, *(text for each in files for text in each.found.warnings))
    passed_over = (loses_quality(each.file.name, each.measurement) for each in choice.passed_over)
    return (*dict.fromkeys(told), *_about_siblings(choice), *passed_over)


def _about_siblings(choice: Choice) -> Iterator[str]:
    best = choice.best
    fastest = min(choice.faster_siblings, key=lambda each: each.latency.median if each.latency else inf, default=None)
    if fastest and fastest.latency and best.latency:
        yield slower_quantized(*_timed(best), *_timed(fastest), is_int8="int8" in best.found.arithmetic)
    if choice.outdone and choice.outdone.latency and best.latency:
        is_int8 = "int8" in choice.outdone.found.arithmetic
        yield outdone_by_float(*_timed(choice.outdone), *_timed(best), is_int8=is_int8)


def _timed(each: MeasuredFile) -> tuple[str, Latency]:
    assert each.latency is not None
    return each.file.name, each.latency


def _slower_than_tried(choice: Choice, seed: int) -> Iterator[str]:
    """One for each format."""
    for _, pairs in groupby(slower_than_float(choice.delivered, seed), key=lambda pair: pair[1].file.name):
        slower = list(pairs)
        other = slower[0][1]
        timed = [(each.file.name, each.latency) for each, _ in slower if each.latency]
        if other.latency:
            yield slower_than_tried(timed, other.file.name, other.latency)
