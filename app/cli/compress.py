"""`modelpress compress`: from a file to smaller files in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connection import DataDir, connect_or_start
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
    Prefer,
    SearchSeconds,
    Trials,
    search_options,
)

if TYPE_CHECKING:
    from app.client import Client


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
    prefer: Prefer = None,
    trials: Trials = None,
    seconds: SearchSeconds = None,
    data_dir: DataDir = None,
) -> None:
    """Send a network to a service, wait, show the result and fetch the files.

    With a recipe or a preset that is one job; with a budget, a search for the best recipe. Where no service runs, one
    is started for as long as this takes.
    """
    budget = {"max_quality_drop": max_drop, "max_size_bytes": max_size, "max_latency_ms": max_latency}
    search = search_options(budget, minimize, prefer, trials, seconds)
    if search is None:
        run, asked = _run_job, job_options(preset, recipe, formats, seed)
    elif preset is not None or recipe is not None:
        raise typer.BadParameter("give a budget or a recipe, not both: a search makes up its recipes itself")
    else:
        run, asked = _run_search, {"search": search, "seeds": [seed], **({"outputs": formats} if formats else {})}
    described = {
        "architecture": read_json_file(architecture),
        "inputs": read_json(inputs),
        "transform": read_json(transform),
    }
    with connect_or_start(context, data_dir) as client:
        run(client, file, data, asked, output, **described)


def _run_job(
    client: "Client", file: Path, data: Path | None, asked: dict[str, Any], output: Path, **described: Any
) -> None:
    from app.cli.watching import download_all, watch_job

    job = client.submit_files(file, asked, dataset_file=data, **described)
    watch_job(client, job.id)
    download_all(client, job.id, output)


def _run_search(
    client: "Client", file: Path, data: Path | None, asked: dict[str, Any], output: Path, **described: Any
) -> None:
    from app.cli.watching_studies import run_study

    run_study(client, file, data, asked, output, **described)
