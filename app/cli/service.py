"""The commands that run the service, whole or in part. Options become MODELPRESS_* variables."""

import os
from pathlib import Path
from typing import Annotated

import typer

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="0 takes a free one.", show_default="8000", min=0, max=65535)]
DataDir = Annotated[Path | None, typer.Option(help="Folder of all state.", show_default="var")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Answer without keys where others can reach the address.")]


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None, insecure: Insecure = False) -> None:
    """Run API and worker; whichever dies is started again."""
    configure(host=host, port=port, data_dir=data_dir, insecure=insecure)
    from app.cli.serving import keep_serving
    from app.core.settings import Settings

    keep_serving(Settings())


def api(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    insecure: Insecure = False,
    socket: Annotated[int | None, typer.Option(hidden=True, help="Number of an open listening socket.")] = None,
) -> None:
    """Run the API alone."""
    configure(host=host, port=port, data_dir=data_dir, insecure=insecure)
    from app.cli.migrating import finish_migration, start_migration

    migration = start_migration() if socket is None else None
    # Imported meanwhile, since that takes as long.
    from app.cli.api_server import run_api
    from app.core.settings import Settings

    if migration is not None:
        finish_migration(migration)
    run_api(Settings(), socket)


def worker(data_dir: DataDir = None) -> None:
    """Run one worker alone."""
    configure(data_dir=data_dir)
    from app.cli.serving import WORKER

    os.execv(WORKER[0], WORKER)  # noqa: S606


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version, from nothing or from any earlier one."""
    configure(data_dir=data_dir)
    from app.cli.database import open_database

    open_database().close()


def configure(**options: object) -> None:
    """What was given on the command line, for this process and those that it starts."""
    for name, value in options.items():
        if value is not None and value is not False:
            os.environ[f"MODELPRESS_{name.upper()}"] = str(value)
