"""The report's tables, as rows of finished text for HTML and Markdown alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.core import figures
from app.core.measurements import Energy, Latency, Measurement, Quality, Result
from app.core.recipes import Step


@dataclass(frozen=True)
class Cells:
    """A table of finished text. `note` says what it leaves out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Change:
    text: str
    verdict: Literal["better", "worse", "same"]


@dataclass(frozen=True)
class Row:
    """One that is `minor` says more of the one above it."""

    label: str
    before: str
    after: str
    change: Change | None = None
    minor: bool = False


def _minor(label: str, before: str, after: str) -> Row:
    return Row(label, before, after, minor=True)


def before_and_after(result: Result) -> list[Row]:
    return [*_of_size(result), *_of_time(result), *_of_quality(result)]


def _of_size(result: Result) -> Iterator[Row]:
    before, after, comparison = result.baseline, result.compressed, result.comparison
    yield Row(
        "File size",
        figures.size(before.size_bytes),
        figures.size(after.size_bytes),
        _shrunk(comparison.size_ratio, "smaller", "larger"),
    )
    yield Row(
        "Parameters",
        figures.count(before.parameters),
        figures.count(after.parameters),
        _shrunk(comparison.parameter_ratio, "fewer", "more"),
    )
    if (before.nonzero_parameters, after.nonzero_parameters) != (before.parameters, after.parameters):
        yield _minor(
            "of them not zero", figures.count(before.nonzero_parameters), figures.count(after.nonzero_parameters)
        )
    if before.macs is not None and after.macs is not None:
        ratio = comparison.macs_ratio
        yield Row(
            "Multiply-accumulates for one example",
            figures.count(before.macs),
            figures.count(after.macs),
            None if ratio is None else _shrunk(ratio, "fewer", "more"),
        )


def _of_time(result: Result) -> Iterator[Row]:
    before, after, speedup = result.baseline, result.compressed, result.comparison.speedup
    for position, (old, new) in enumerate(zip(before.latency_ms, after.latency_ms, strict=True)):
        ratio = speedup.median if speedup is not None and position == 0 else old.median / new.median
        yield Row(_timed(old), figures.milliseconds(old.median), figures.milliseconds(new.median), _sped_up(ratio))
        yield _minor("95 % of calls within", figures.milliseconds(old.p95), figures.milliseconds(new.p95))
        yield from _beside_time(old, new)
    if before.load_ms is not None and after.load_ms is not None:
        yield Row("Time to load", figures.milliseconds(before.load_ms), figures.milliseconds(after.load_ms))
    if before.peak_memory_mb is not None and after.peak_memory_mb is not None:
        yield Row(
            "Memory to load and answer once",
            figures.megabytes(before.peak_memory_mb),
            figures.megabytes(after.peak_memory_mb),
        )


def _beside_time(old: Latency, new: Latency) -> Iterator[Row]:
    """What goes with the wall clock's time of a call."""
    if old.cpu_median is not None and new.cpu_median is not None:
        yield _minor("CPU time of it", figures.milliseconds(old.cpu_median), figures.milliseconds(new.cpu_median))
    if old.examples_per_second is not None and new.examples_per_second is not None:
        yield _minor(
            "Examples a second",
            figures.count(round(old.examples_per_second)),
            figures.count(round(new.examples_per_second)),
        )
    if old.energy is not None and new.energy is not None:
        source = {"rapl": "by the CPU's counters", "model": "a model, not measured"}[new.energy.source]
        yield _minor(f"Energy of it, {source}", _energy(old.energy), _energy(new.energy))


def _energy(energy: Energy) -> str:
    return f"{figures.digits(energy.millijoules)} mJ"


def _of_quality(result: Result) -> Iterator[Row]:
    before, after, comparison = result.baseline.quality, result.compressed.quality, result.comparison
    if before is None or after is None:
        return
    if after.metric != "agreement":
        change = comparison.quality_change
        yield Row(
            metric_label(after),
            figures.quality(before.metric, before.value),
            figures.quality(after.metric, after.value),
            None if change is None else _of_metric(after, change),
        )
    yield from _of_classes(before, after)
    if after.agreement is not None:
        yield Row("Same answer as the upload", "", figures.percent(after.agreement))
    if after.cosine is not None:
        yield Row("Cosine with the upload's answers", "", f"{after.cosine:.4f}")
    if after.kl_divergence is not None:
        yield Row("KL divergence from the upload (nats)", "", figures.digits(after.kl_divergence))


def _of_classes(before: Quality, after: Quality) -> Iterator[Row]:
    if before.top_5 is not None and after.top_5 is not None:
        yield Row("Among the five highest", figures.percent(before.top_5), figures.percent(after.top_5))
    if before.cross_entropy is not None and after.cross_entropy is not None:
        yield Row(
            "Loss (cross entropy, nats)", figures.digits(before.cross_entropy), figures.digits(after.cross_entropy)
        )


@dataclass(frozen=True)
class StepRow:
    """The network as it was uploaded, or after one step. `parameters` are the step's own, `parameters_left` the
    network's, without zeros. `run_by` is another job that ran it."""

    name: str
    parameters: str
    took: str
    run_by: str | None
    size: str
    parameters_left: str
    macs: str
    latency: str
    quality: str


def step_by_step(result: Result, steps: tuple[Step, ...]) -> list[StepRow]:
    rows = [_step_row("upload", result.baseline)]
    for step, done in zip(steps, result.steps, strict=True):
        took = figures.duration(done.seconds)
        rows.append(_step_row(done.technique, done.after, _parameters(step), took, done.run_by))
    return rows


def _step_row(
    name: str, after: Measurement, parameters: str = "", took: str = "", run_by: str | None = None
) -> StepRow:
    return StepRow(
        name=name.replace("_", " "),
        parameters=parameters,
        took=took,
        run_by=run_by,
        size=figures.size(after.size_bytes),
        parameters_left=figures.count(after.nonzero_parameters),
        macs="" if after.macs is None else figures.count(after.macs),
        latency=figures.milliseconds(after.latency_ms[0].median) if after.latency_ms else "",
        quality=figures.quality(after.quality.metric, after.quality.value) if after.quality else "",
    )


def _parameters(step: Step) -> str:
    given = step.model_dump(mode="json", exclude={"technique"}, exclude_none=True)
    return ", ".join(f"{name}={_written(value)}" for name, value in given.items() if value != [])


def _written(value: object) -> str:
    if isinstance(value, dict):
        return f"({', '.join(f'{name}={_written(each)}' for name, each in value.items())})"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value).lower()


def side_by_side(result: Result) -> Cells | None:
    """The upload and every file, a row each; None where there is only one file."""
    if len(result.artifacts) < 2:
        return None
    columns = ("File", "Size", "A call", "Speed", metric_label(result.compressed.quality), "Same answers", "Memory")
    rows = [_file_row("upload", result.baseline, result.baseline)]
    for artifact in result.artifacts:
        name = f"{artifact.name} (best)" if artifact.name == result.best else artifact.name
        rows.append(_file_row(name, artifact.measured, result.baseline))
    return Cells("Files side by side", columns, tuple(rows))


def _file_row(name: str, measured: Measurement, upload: Measurement) -> tuple[str, ...]:
    quality, times, memory = measured.quality, measured.latency_ms, measured.peak_memory_mb
    return (
        name,
        figures.size(measured.size_bytes),
        figures.milliseconds(times[0].median) if times else "",
        figures.ratio(upload.latency_ms[0].median / times[0].median) if times else "",
        figures.quality(quality.metric, quality.value) if quality else "",
        figures.percent(quality.agreement) if quality and quality.agreement is not None else "",
        figures.megabytes(memory) if memory is not None else "",
    )


def metric_label(quality: Quality | None) -> str:
    return "" if quality is None else quality.metric.replace("_", " ").capitalize()


def _timed(latency: Latency) -> str:
    examples = "one example" if latency.batch_size == 1 else f"a batch of {latency.batch_size}"
    return f"Time for {examples}"


def _shrunk(ratio: float, word: str, opposite: str) -> Change:
    """`ratio` is original / compressed."""
    if figures.ratio(ratio) == figures.ratio(1):
        return Change("same", "same")
    if ratio > 1:
        return Change(f"{figures.ratio(ratio)} {word}", "better")
    return Change(f"{figures.ratio(1 / ratio)} {opposite}", "worse")


def _sped_up(ratio: float) -> Change:
    return _shrunk(ratio, "faster", "slower")


def _of_metric(quality: Quality, change: float) -> Change:
    gain = -change if quality.metric == "mean_squared_error" else change
    return Change(figures.change(quality.metric, change), "better" if gain > 0 else "worse" if gain < 0 else "same")
