"""What every noun of the service can do: list, show, delete."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connection import connect

if TYPE_CHECKING:
    from app.client import Noun

Limit = Annotated[int, typer.Option(min=1, max=100, help="How many, the newest first.")]


def noun_group(noun: "Noun", help_text: str, columns: Sequence[str]) -> typer.Typer:
    group = typer.Typer(help=help_text, no_args_is_help=True)
    singular = "study" if noun == "studies" else noun.removesuffix("s")

    @group.command("list", help=f"List {noun}, the newest first.")
    def list_all(context: typer.Context, limit: Limit = 20) -> None:
        from app.cli.printing import print_table

        with connect(context) as client:
            print_table(getattr(client, noun)(limit), columns)

    @group.command(help=f"Show one of the {noun} as JSON.")
    def show(context: typer.Context, item_id: str) -> None:
        from app.cli.printing import print_item

        with connect(context) as client:
            print_item(getattr(client, singular)(item_id))

    @group.command(help=f"Delete one of the {noun} and its files.")
    def delete(context: typer.Context, item_id: str) -> None:
        with connect(context) as client:
            client.delete(noun, item_id)
        typer.echo(f"{item_id} is deleted")

    return group
