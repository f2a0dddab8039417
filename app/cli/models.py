"""`modelpress models`: uploaded networks."""

from typing import Annotated

import typer

from app.cli.connection import connect
from app.cli.job_arguments import ArchitectureFile, InputFile, InputsJson, Seed, read_json, read_json_file
from app.cli.nouns import noun_group

group = noun_group("models", "Uploaded networks.", ("id", "name", "status", "format", "size_bytes", "created_at"))


@group.command()
def upload(
    context: typer.Context,
    file: InputFile,
    name: str | None = None,
    architecture: ArchitectureFile = None,
    inputs: InputsJson = None,
) -> None:
    """Upload a network and show what was found in it."""
    from app.cli.printing import print_item

    with connect(context) as client:
        model = client.upload_model(
            file, name=name, architecture=read_json_file(architecture), inputs=read_json(inputs)
        )
        print_item(client.wait_for_model(model.id))


@group.command()
def sensitivity(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model's id.")],
    dataset: Annotated[str | None, typer.Option(help="A data set's id; without one, random inputs.")] = None,
    seed: Seed = 0,
) -> None:
    """Prune and round each layer alone, and show what that costs."""
    from app.cli.watching import watch_job

    with connect(context) as client:
        watch_job(client, client.measure_sensitivity(model, dataset=dataset, seed=seed).id)
