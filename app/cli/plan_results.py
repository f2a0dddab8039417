"""A prediction as tables."""

from rich.table import Table

from app.cli.printing import console
from app.core import figures
from app.core.plans.schemas import Plan


def print_plan(plan: Plan) -> None:
    predicted = plan.predicted
    table = Table("after", "parameters", "MACs", "size", box=None, header_style="bold", title="Predicted")
    for step in plan.steps:
        table.add_row(step.technique, f"{step.parameters:,}", _count(step.macs), figures.size(step.size_bytes))
    for file in plan.files:
        table.add_row(file.name, f"{predicted.parameters:,}", _count(predicted.macs), figures.size(file.size_bytes))
    console.print(table)
    time, memory = figures.duration(predicted.seconds), figures.megabytes(predicted.memory_mb)
    console.print(f"About {time}, and {memory} of memory.", highlight=False)
    for warning in plan.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, highlight=False)


def _count(macs: int | None) -> str:
    return "-" if macs is None else f"{macs:,}"
