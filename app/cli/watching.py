"""A job on the terminal, from its first event to its files."""

from pathlib import Path

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.printing import console
from app.cli.results import print_result
from app.client import Client
from app.core.jobs import Job


def watch_job(client: Client, job_id: str) -> Job:
    """The job that succeeded, its result printed. Any other end prints why and ends the command."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("queued", total=1.0)
        for event in client.events(job_id):
            message = str(event.data.get("message") or event.type)
            progress.update(bar, description=message, completed=event.data.get("fraction"))
    job = client.job(job_id)
    if job.status != "succeeded":
        reason = f"{job.error.title}. {job.error.detail}" if job.error else ""
        typer.secho(f"{job_id} {job.status}. {reason}", fg="red", err=True)
        raise typer.Exit(1)
    print_result(job)
    return job


def download_all(client: Client, job_id: str, folder: Path) -> None:
    for artifact in client.artifacts(job_id):
        console.print(str(client.download(job_id, artifact.name, folder)), soft_wrap=True, highlight=False)
