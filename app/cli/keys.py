"""`modelpress keys`: who may use a service that others can reach. Works on the data folder itself."""

from typing import Annotated

import typer

from app.cli.service import DataDir, configure

group = typer.Typer(help="Keys of a service that others can reach; works on its data folder.", no_args_is_help=True)


@group.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[str], typer.Option(help="Such as jobs:write; may be given several times.")],
    data_dir: DataDir = None,
) -> None:
    """Make a key and show it this once."""
    configure(data_dir=data_dir)
    from app.cli.database import open_database
    from app.core.keys import create_key

    key, secret = create_key(open_database(), name, scope)
    typer.echo(f"{key.id}  {', '.join(key.scopes)}", err=True)
    typer.echo(secret)


@group.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """Show all keys, without their secrets."""
    configure(data_dir=data_dir)
    from app.cli.database import open_database
    from app.cli.printing import print_table
    from app.core.keys import list_keys

    print_table(list_keys(open_database()), ("id", "name", "prefix", "scopes", "created_at", "revoked"))


@group.command()
def revoke(key_id: str, data_dir: DataDir = None) -> None:
    """End a key's use, for good."""
    configure(data_dir=data_dir)
    from app.cli.database import open_database
    from app.core.keys import revoke_key

    typer.echo(f"{revoke_key(open_database(), key_id).id} is revoked")
