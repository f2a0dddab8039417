"""`modelpress compress`: from a file to smaller files in one command."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import connect
from app.cli.job_arguments import (
    ArchitectureFile,
    DataFile,
    Formats,
    InputFile,
    InputsJson,
    Preset,
    RecipeFile,
    Seed,
    TransformJson,
    job_options,
    read_json,
    read_json_file,
)


def compress(
    context: typer.Context,
    file: InputFile,
    data: DataFile = None,
    preset: Preset = None,
    recipe: RecipeFile = None,
    formats: Formats = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path("out"),
    architecture: ArchitectureFile = None,
    inputs: InputsJson = None,
    transform: TransformJson = None,
    seed: Seed = 0,
) -> None:
    """Send a network to the running service, wait, show the result and fetch the files."""
    from app.cli.watching import download_all, watch_job

    with connect(context) as client:
        job = client.submit_files(
            file,
            job_options(preset, recipe, formats, seed),
            dataset_file=data,
            architecture=read_json_file(architecture),
            inputs=read_json(inputs),
            transform=read_json(transform),
        )
        watch_job(client, job.id)
        download_all(client, job.id, output)
