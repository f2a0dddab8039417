"""A study on the terminal, from its first event to its table and its best files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.printing import console
from app.cli.study_results import ended_job, print_study
from app.cli.watching import download_all
from app.client import Client, ReportFormat
from app.client_waiting import jobs_wanted
from app.core.studies.schemas import Study

REPORTS: dict[str, ReportFormat] = {
    "study.html": "text/html",
    "study.md": "text/markdown",
    "study.json": "application/json",
}


def run_study(
    client: Client,
    file: Path,
    data: Path | None,
    asked: Mapping[str, Any],
    output: Path,
    *,
    transform: Any,
    **described: Any,
) -> None:
    """From the uploads to the files of the best recipe; `described` says more of the network."""
    model = client.upload_model(file, **described)
    dataset = client.upload_dataset(data, transform=transform) if data else None
    study = client.submit_study({**asked, "model": model.id, "dataset": dataset and dataset.id})
    download_best(client, watch_study(client, study.id), output)


def watch_study(client: Client, study_id: str) -> Study:
    """The study that succeeded, its table printed. Any other end ends the command."""
    jobs = jobs_wanted(client.study(study_id))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("jobs", total=jobs)
        for event in client.study_events(study_id):
            if event.type == "job_ended":
                job = client.job(event.data["job"])
                progress.advance(bar, advance=job.kind == "compress")
                console.print(ended_job(job), highlight=False, markup=False, soft_wrap=True)
    study = client.study(study_id)
    print_study(study)
    if study.status != "succeeded":
        typer.secho(f"{study_id} {study.status}.", fg="red", err=True)
        raise typer.Exit(1)
    return study


def download_best(client: Client, study: Study, folder: Path) -> None:
    """The files of the best job, and the study's report as `study.html`, `study.md` and `study.json`."""
    if study.best is None:
        typer.secho(f"{study.id} has no recipe that succeeded.", fg="red", err=True)
        raise typer.Exit(1)
    download_all(client, study.best.job, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, media_type in REPORTS.items():
        (folder / name).write_text(client.study_report(study.id, media_type), encoding="utf-8")
        console.print(str(folder / name), soft_wrap=True, highlight=False)
