"""`modelpress compare`: several recipes on one network, side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import DataDir, connect_or_start
from app.cli.job_arguments import (
    ArchitectureFile,
    DataFile,
    Formats,
    InputFile,
    InputsJson,
    TransformJson,
    read_json,
    read_json_file,
)

RecipesFile = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help='JSON: a list of recipes, or a study\'s whole body ({"recipes": [...]}).'
    ),
]
Presets = Annotated[list[str] | None, typer.Option("--preset", help="small, fast or safe; may be repeated.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="May be repeated; gives each figure a spread.", min=0)]


def compare(
    context: typer.Context,
    file: InputFile,
    data: DataFile = None,
    recipes: RecipesFile = None,
    preset: Presets = None,
    seed: Seeds = None,
    controls: Annotated[bool, typer.Option(help="Prune at random and by magnitude, too.")] = True,
    formats: Formats = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the best files and the report.")] = Path(
        "out"
    ),
    architecture: ArchitectureFile = None,
    inputs: InputsJson = None,
    transform: TransformJson = None,
    data_dir: DataDir = None,
) -> None:
    """Run several recipes on one network, show which keeps its quality and is fastest, and fetch its files.

    Where no service runs, one is started for as long as this takes.
    """
    from app.cli.watching_studies import run_study

    asked = _study_options(recipes, preset, seed, formats, controls=controls)
    described = {"architecture": read_json_file(architecture), "inputs": read_json(inputs)}
    with connect_or_start(context, data_dir) as client:
        run_study(client, file, data, asked, output, transform=read_json(transform), **described)


def _study_options(
    recipes: Path | None,
    presets: list[str] | None,
    seeds: list[int] | None,
    formats: list[str] | None,
    *,
    controls: bool,
) -> dict[str, Any]:
    """The body of a study, without its model and its data set."""
    document = read_json_file(recipes)
    options: dict[str, Any] = document if isinstance(document, dict) else {"recipes": document or []}
    options["recipes"] = [*options.get("recipes", []), *({"preset": name} for name in presets or ())]
    if not options["recipes"]:
        raise typer.BadParameter("give --recipes FILE, or --preset NAME once or more")
    given = {"seeds": seeds, "outputs": formats, "controls": None if controls else False}
    return options | {name: value for name, value in given.items() if value is not None}
