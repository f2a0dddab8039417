"""`modelpress plan`: what a compression would come to, before it runs."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import DataDir, connect, connect_or_start
from app.cli.job_arguments import (
    ArchitectureFile,
    DataFile,
    Formats,
    InputsJson,
    Preset,
    RecipeFile,
    TransformJson,
    job_options,
    read_json,
    read_json_file,
)


def plan(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A file, or the id of a model that was uploaded.")],
    data: DataFile = None,
    dataset: Annotated[str | None, typer.Option(help="The id of a data set that was uploaded.")] = None,
    preset: Preset = None,
    recipe: RecipeFile = None,
    formats: Formats = None,
    architecture: ArchitectureFile = None,
    inputs: InputsJson = None,
    transform: TransformJson = None,
    data_dir: DataDir = None,
) -> None:
    """Show what a compression would come to, and run nothing of it.

    A file is uploaded and inspected for that; where no service runs, one is started for as long as this takes.
    """
    from app.cli.plan_results import print_plan

    if data is not None and dataset is not None:
        raise typer.BadParameter("give --data FILE or --dataset ID, not both")
    asked = job_options(preset, recipe, formats, seed=0)
    described = {"architecture": read_json_file(architecture), "inputs": read_json(inputs)}
    reached = connect_or_start(context, data_dir) if _is_file(model) else connect(context)
    with reached as client:
        if _is_file(model):
            model = client.wait_for_model(client.upload_model(Path(model), **described).id).id
        if data is not None:
            uploaded = client.upload_dataset(data, transform=read_json(transform))
            dataset = client.wait_for_dataset(uploaded.id).id
        print_plan(client.plan({"model": model, "dataset": dataset, **asked}))


def _is_file(model: str) -> bool:
    """A service of the command's own would know no id."""
    if Path(model).is_file():
        return True
    if model.startswith("model_"):
        return False
    raise typer.BadParameter(f"{model} is neither a file nor the id of a model (model_...)")
