"""A job's result as tables."""

from rich.table import Table

from app.cli.printing import console
from app.core.jobs import Job
from app.core.measurements import Comparison, Measurement, Quality, Result, Speedup


def print_result(job: Job) -> None:
    if job.result is None:
        return
    console.print(_comparison_table(job.result))
    console.print(_speedup_text(job.result.comparison.speedup))
    console.print(_files_table(job.result))
    for warning in job.result.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, highlight=False)


def _comparison_table(result: Result) -> Table:
    """The upload beside the best file, a row for each thing that was measured."""
    table = Table(title=f"the upload and {result.best}", title_justify="left")
    for heading in ("", "before", "after", "before / after"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    before, after, comparison = result.baseline, result.compressed, result.comparison
    table.add_row("size", _size(before.size_bytes), _size(after.size_bytes), _ratio(comparison.size_ratio))
    table.add_row("parameters", f"{before.parameters:,}", f"{after.parameters:,}", _ratio(comparison.parameter_ratio))
    table.add_row("not zero", f"{before.nonzero_parameters:,}", f"{after.nonzero_parameters:,}", "")
    table.add_row("MACs", _count(before.macs), _count(after.macs), _ratio(comparison.macs_ratio))
    table.add_row("one call", _latency(before), _latency(after), _measured_speedup(comparison))
    table.add_row(_quality_name(before.quality), _quality(before.quality), _quality(after.quality), _change(comparison))
    return table


def _speedup_text(speedup: Speedup | None) -> str:
    if speedup is None:
        return "No speed-up was measured."
    low, high = speedup.ci95
    return (
        f"Speed-up {speedup.median:.2f} x (95 % interval {low:.2f} to {high:.2f}): {speedup.runtime_only:.2f} x from "
        f"the runtime alone, {speedup.compression_only:.2f} x from compression."
    )


def _files_table(result: Result) -> Table:
    table = Table(title="files", title_justify="left")
    for heading in ("name", "size", "one call", "quality", "largest difference", "cosine"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for artifact in result.artifacts:
        verified = artifact.verified
        table.add_row(
            artifact.name,
            _size(artifact.size_bytes),
            _latency(artifact.measured),
            _quality(artifact.measured.quality),
            "-" if verified.max_difference is None else f"{verified.max_difference:.1e}",
            "-" if verified.cosine is None else f"{verified.cosine:.4f}",
        )
    return table


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.1f} kB"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} x"


def _latency(measurement: Measurement) -> str:
    return f"{measurement.latency_ms[0].median:.3f} ms" if measurement.latency_ms else "-"


def _measured_speedup(comparison: Comparison) -> str:
    return _ratio(comparison.speedup.median) if comparison.speedup else "-"


def _quality_name(quality: Quality | None) -> str:
    if quality is None:
        return "quality"
    name = quality.metric.replace("_", " ")
    return f"{name}, {'random inputs' if quality.synthetic else f'{quality.examples:,} examples'}"


def _quality(quality: Quality | None) -> str:
    if quality is None:
        return "-"
    return f"{quality.value:.4g}" if quality.metric == "mean_squared_error" else f"{quality.value:.2%}"


def _change(comparison: Comparison) -> str:
    return "-" if comparison.quality_change is None else f"change {comparison.quality_change:+.4f}"
