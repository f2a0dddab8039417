"""`modelpress studies`: comparisons of several recipes."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import connect
from app.cli.nouns import noun_group

group = noun_group(
    "studies", "Several recipes on one model, compared.", ("id", "name", "status", "model", "created_at")
)


@group.command()
def watch(context: typer.Context, study_id: str) -> None:
    """Follow a study to its end and show its table."""
    from app.cli.watching_studies import watch_study

    with connect(context) as client:
        watch_study(client, study_id)


@group.command()
def cancel(context: typer.Context, study_id: str) -> None:
    """Stop all jobs of a study."""
    with connect(context) as client:
        client.cancel_study(study_id)
        typer.echo(f"{study_id} is {client.wait_for_study(study_id).status}")


@group.command()
def download(
    context: typer.Context, study_id: str, output: Annotated[Path, typer.Option("--output", "-o")] = Path("out")
) -> None:
    """Fetch the files of the best recipe, and the study's report."""
    from app.cli.watching_studies import download_best

    with connect(context) as client:
        download_best(client, client.study(study_id), output)
