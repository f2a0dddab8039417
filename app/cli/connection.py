"""How a command reaches a service: one that runs, or one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.client import Client

USUAL_URL = "http://127.0.0.1:8000"
LOOK_SECONDS = 5.0

DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MODELPRESS_DATA_DIR",
        file_okay=False,
        help="Where a service that is started for this command keeps its state.",
        show_default="a folder that goes with it",
    ),
]


@dataclass(frozen=True)
class Connection:
    """What was said of the service; `url` is None where nothing was."""

    url: str | None
    key: str | None


def connect(context: typer.Context) -> Client:
    from app.client import Client

    connection: Connection = context.obj
    return Client(connection.url or USUAL_URL, connection.key)


@contextmanager
def connect_or_start(context: typer.Context, data_dir: Path | None) -> Iterator[Client]:
    """A service of the command's own where none was named and none answers at the usual address."""
    connection: Connection = context.obj
    if connection.url is None and not _answers(USUAL_URL):
        with _own_service(data_dir) as client:
            yield client
        return
    with connect(context) as client:
        try:
            yield client
        except KeyboardInterrupt:
            typer.echo("What was begun goes on; `modelpress jobs list` shows it.", err=True)
            raise


@contextmanager
def _own_service(data_dir: Path | None) -> Iterator[Client]:
    from app.cli.embedded_service import service_of_a_command
    from app.cli.printing import console
    from app.client import Client

    state = "in a temporary folder (--data-dir keeps it)" if data_dir is None else f"in {data_dir}"
    told = f"No service answers at {USUAL_URL}. One is started for this command, its state {state}."
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    with ExitStack() as ending:
        with console.status("starting"):
            service = ending.enter_context(service_of_a_command(data_dir))
        client = ending.enter_context(Client(service.url))
        began = datetime.now(UTC)
        try:
            yield client
        except KeyboardInterrupt:
            _cancel_what_began(client, began)
            raise


def _cancel_what_began(client: Client, since: datetime) -> None:
    """So that a later service on the same folder doesn't take it up again."""
    for study in client.studies(limit=100):
        if study.created_at >= since and not study.done:
            client.cancel_study(study.id)
    for job in client.jobs(limit=100):
        if job.created_at >= since and not job.done:
            client.cancel(job.id)
    typer.echo("Canceled; the service ends, too.", err=True)


def _answers(url: str) -> bool:
    """Whether a modelpress service does; what else may listen there is none."""
    import httpx2

    try:
        answer = httpx2.get(f"{url}/version", timeout=LOOK_SECONDS, trust_env=False)
        return bool(answer.json()["name"] == "modelpress")
    except (httpx2.TransportError, ValueError, KeyError, TypeError):
        return False
