"""`modelpress jobs`: compressions, running and done."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import connect
from app.cli.job_arguments import Formats, Preset, RecipeFile, Seed, job_options
from app.cli.nouns import noun_group

group = noun_group("jobs", "Compressions, running and done.", ("id", "kind", "status", "model", "created_at"))


@group.command()
def submit(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model's id.")],
    dataset: Annotated[str | None, typer.Option(help="A data set's id.")] = None,
    preset: Preset = None,
    recipe: RecipeFile = None,
    formats: Formats = None,
    seed: Seed = 0,
) -> None:
    """Queue a compression and show the job's id."""
    with connect(context) as client:
        options = job_options(preset, recipe, formats, seed)
        typer.echo(client.submit({"model": model, "dataset": dataset, **options}).id)


@group.command()
def watch(context: typer.Context, job_id: str) -> None:
    """Follow a job to its end and show its result."""
    from app.cli.watching import watch_job

    with connect(context) as client:
        watch_job(client, job_id)


@group.command()
def cancel(context: typer.Context, job_id: str) -> None:
    """Stop a job."""
    with connect(context) as client:
        client.cancel(job_id)
        typer.echo(f"{job_id} is {client.wait(job_id).status}")


@group.command()
def download(
    context: typer.Context, job_id: str, output: Annotated[Path, typer.Option("--output", "-o")] = Path("out")
) -> None:
    """Fetch every file that a job made."""
    from app.cli.watching import download_all

    with connect(context) as client:
        download_all(client, job_id, output)
