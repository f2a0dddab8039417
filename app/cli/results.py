"""A job's result as tables."""

from rich.table import Table
from rich.text import Text

from app.cli.printing import console
from app.core import figures
from app.core.jobs import Job
from app.core.measurements import Comparison, Measurement, Quality, Result, Speedup
from app.core.reports.sentence import sentence
from app.core.sensitivities import Sensitivity
from app.core.sensitivity_tables import amount, columns_of, summary
from app.core.sensitivity_tables import table as table_of
from app.core.sensitivity_tables import title as title_of
from app.core.studies.gate import GateReading

NOTHING = "-"


def print_result(job: Job) -> None:
    if job.result is None or isinstance(job.result, GateReading):  # which its study tells of
        return
    if isinstance(job.result, Sensitivity):
        _print_sensitivity(job.result)
    else:
        console.print(sentence(job.result), markup=False, highlight=False)
        console.print(_comparison_table(job.result))
        console.print(_speedup_text(job.result.comparison.speedup), highlight=False)
        console.print(_files_table(job.result))
    for warning in job.result.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, highlight=False)


def _print_sensitivity(result: Sensitivity) -> None:
    console.print(summary(result), markup=False, highlight=False)
    table = _table(title_of(result.baseline.metric), "layer", *(amount(*column) for column in columns_of(result)))
    for layer, *changes in table_of(result):
        table.add_row(Text(layer), *changes)
    console.print(table)


def _comparison_table(result: Result) -> Table:
    """The upload beside the best file, a row for each thing that was measured."""
    table = _table(f"The upload and {result.best}", "", "before", "after", "before / after")
    before, after, comparison = result.baseline, result.compressed, result.comparison
    table.add_row(
        "size", figures.size(before.size_bytes), figures.size(after.size_bytes), figures.ratio(comparison.size_ratio)
    )
    table.add_row(
        "parameters", f"{before.parameters:,}", f"{after.parameters:,}", figures.ratio(comparison.parameter_ratio)
    )
    table.add_row("not zero", f"{before.nonzero_parameters:,}", f"{after.nonzero_parameters:,}", "")
    table.add_row("MACs", _count(before.macs), _count(after.macs), _ratio(comparison.macs_ratio))
    speedup = comparison.speedup
    table.add_row("one call", _latency(before), _latency(after), _ratio(speedup.median if speedup else None))
    table.add_row(
        _quality_name(after.quality), _quality(before.quality), _quality(after.quality), _change(comparison, after)
    )
    return table


def _speedup_text(speedup: Speedup | None) -> str:
    if speedup is None:
        return "No speed-up was measured."
    low, high = speedup.ci95
    return (
        f"Speed-up {figures.ratio(speedup.median)} (95 % interval {figures.ratio(low)} to {figures.ratio(high)}): "
        f"{figures.ratio(speedup.runtime_only)} from the runtime alone, "
        f"{figures.ratio(speedup.compression_only)} from compression."
    )


def _files_table(result: Result) -> Table:
    """Each file as it was when loaded afresh; difference and cosine are to the network it was written from."""
    table = _table("Files", "name", "size", "one call", "quality", "largest difference", "cosine")
    for artifact in result.artifacts:
        measured, verified = artifact.measured, artifact.verified
        table.add_row(
            artifact.name,
            figures.size(artifact.size_bytes),
            _latency(measured),
            _quality(measured.quality),
            NOTHING if verified.max_difference is None else f"{verified.max_difference:.1e}",
            NOTHING if verified.cosine is None else f"{verified.cosine:.5f}",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else figures.ratio(value)


def _latency(measurement: Measurement) -> str:
    return figures.milliseconds(measurement.latency_ms[0].median) if measurement.latency_ms else NOTHING


def _quality_name(quality: Quality | None) -> str:
    if quality is None:
        return "quality"
    name = quality.metric.replace("_", " ")
    return f"{name}, {quality.examples:,} {'random inputs' if quality.synthetic else 'examples'}"


def _quality(quality: Quality | None) -> str:
    return NOTHING if quality is None else figures.quality(quality.metric, quality.value)


def _change(comparison: Comparison, after: Measurement) -> str:
    if comparison.quality_change is None or after.quality is None:
        return NOTHING
    return figures.change(after.quality.metric, comparison.quality_change)
