"""A job on the terminal, from its first event to its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress

from app.cli.printing import console
from app.cli.results import print_result
from app.client import Client
from app.client_waiting import bar_columns
from app.core import figures
from app.core.jobs import Job
from app.core.measurements import Epoch


def watch_job(client: Client, job_id: str) -> Job:
    """The job that succeeded, its result printed. Any other end prints why and ends the command."""
    with Progress(*bar_columns(), console=console, transient=True) as progress:
        bar = progress.add_task("queued", total=1.0)
        for event in client.events(job_id):
            if event.type == "epoch":
                console.print(_epoch(event.data), highlight=False, markup=False, soft_wrap=True)
                continue
            message = str(event.data.get("message") or event.type)
            progress.update(bar, description=message, completed=event.data.get("fraction"))
    job = client.job(job_id)
    if job.status != "succeeded":
        reason = f"{job.error.title}. {job.error.detail}" if job.error else ""
        typer.secho(f"{job_id} {job.status}. {reason}", fg="red", err=True)
        raise typer.Exit(1)
    print_result(job)
    return job


def _epoch(data: Mapping[str, Any]) -> str:
    """A point of the learning curve, as one line."""
    epoch = Epoch.model_validate({name: data[name] for name in Epoch.model_fields if name in data})
    qualities = (("training", epoch.training_quality), ("validation", epoch.validation_quality))
    parts = [
        f"step {data['step'] + 1}, epoch {epoch.epoch} of {epoch.epochs}: loss {figures.digits(epoch.loss)}",
        *(
            f"{kind} {figures.quality_of_training(epoch.metric, value)}"
            for kind, value in qualities
            if value is not None
        ),
        *(["best so far"] if epoch.best else []),
    ]
    return ", ".join(parts)


def download_all(client: Client, job_id: str, folder: Path) -> None:
    for artifact in client.artifacts(job_id):
        console.print(str(client.download(job_id, artifact.name, folder)), soft_wrap=True, highlight=False)
