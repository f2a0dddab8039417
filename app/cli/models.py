"""`modelpress models`: uploaded networks."""

import typer

from app.cli.connection import connect
from app.cli.job_arguments import ArchitectureFile, InputFile, InputsJson, read_json, read_json_file
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
