"""`modelpress datasets`: uploaded examples."""

import typer

from app.cli.connection import connect
from app.cli.job_arguments import InputFile, TransformJson, read_json
from app.cli.nouns import noun_group

group = noun_group("datasets", "Uploaded examples.", ("id", "name", "status", "task", "size_bytes", "created_at"))


@group.command()
def upload(context: typer.Context, file: InputFile, name: str | None = None, transform: TransformJson = None) -> None:
    """Upload a data set and show what was found in it."""
    from app.cli.printing import print_item

    with connect(context) as client:
        print_item(client.wait_for_dataset(client.upload_dataset(file, name=name, transform=read_json(transform)).id))
