"""`modelpress compress`: from a file to smaller files in one command."""

from pathlib import Path
from typing import Annotated, Any

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
from app.cli.search_arguments import (
    MaxDrop,
    MaxLatency,
    MaxSize,
    Minimize,
    SearchSeconds,
    Trials,
    search_options,
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
    max_drop: MaxDrop = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    minimize: Minimize = None,
    trials: Trials = None,
    seconds: SearchSeconds = None,
) -> None:
    """Send a network to the running service, wait, show the result and fetch the files.

    With a recipe or a preset that is one job; with a budget, a search for the best recipe.
    """
    budget = {"max_quality_drop": max_drop, "max_size_bytes": max_size, "max_latency_ms": max_latency}
    search = search_options(budget, minimize, trials, seconds)
    described = {"architecture": read_json_file(architecture), "inputs": read_json(inputs)}
    if search is None:
        asked = job_options(preset, recipe, formats, seed)
        _run_job(context, file, data, asked, output, transform=read_json(transform), **described)
    elif preset is not None or recipe is not None:
        raise typer.BadParameter("give a budget or a recipe, not both: a search makes up its recipes itself")
    else:
        study = {"search": search, "seeds": [seed], **({"outputs": formats} if formats else {})}
        _run_search(context, file, data, study, output, transform=read_json(transform), **described)


def _run_job(
    context: typer.Context, file: Path, data: Path | None, asked: dict[str, Any], output: Path, **described: Any
) -> None:
    from app.cli.watching import download_all, watch_job

    with connect(context) as client:
        job = client.submit_files(file, asked, dataset_file=data, **described)
        watch_job(client, job.id)
        download_all(client, job.id, output)


def _run_search(
    context: typer.Context,
    file: Path,
    data: Path | None,
    asked: dict[str, Any],
    output: Path,
    *,
    transform: Any,
    **described: Any,
) -> None:
    from app.cli.watching_studies import run_study

    with connect(context) as client:
        run_study(client, file, data, asked, output, transform=transform, **described)
