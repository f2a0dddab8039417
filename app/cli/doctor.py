"""`modelpress doctor`: can the service work, and does its sandbox hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from app.cli.connection import connect

if TYPE_CHECKING:
    from rich.table import Table

    from app.core.health import Readiness
    from app.core.sandbox import SandboxReport


def doctor(context: typer.Context) -> None:
    """Say whether the service can work, and show what its sandbox was found to hold."""
    from app.cli.printing import console

    with connect(context) as client:
        state = client.readiness()
    for line in _lines(state):
        console.print(line, markup=False, highlight=False)
    if state.sandbox is not None:
        console.print(_acts(state.sandbox))
    for warning in state.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, highlight=False)
    if state.status != "ready" or not (state.sandbox and state.sandbox.ok):
        raise typer.Exit(1)


def _lines(state: Readiness) -> list[str]:
    sandbox = (
        f"{state.sandbox.level}, {'holds' if state.sandbox.ok else 'DOES NOT HOLD'}" if state.sandbox else "untested"
    )
    return [
        f"service   {state.status.replace('_', ' ')}",
        f"database  {'ok' if state.database.ok else 'FAILS'} ({state.database.kind})",
        f"storage   {'ok' if state.storage.ok else 'FAILS'} ({state.storage.free_bytes / 1e9:.1f} GB free)",
        f"worker    {state.worker.id if state.worker.ok else 'MISSING'}",
        f"sandbox   {sandbox}",
    ]


def _acts(sandbox: SandboxReport) -> Table:
    from rich.table import Table

    table = Table(title="What a job's process tried", title_justify="left")
    for heading in ("act", "must be", "in the sandbox", "without it", ""):
        table.add_column(heading)
    for result in sandbox.results:
        table.add_row(
            result.act, result.expected, result.seen, result.without_sandbox or "-", "ok" if result.ok else "WRONG"
        )
    return table
