"""The API's own process."""

import socket

import typer
import uvicorn

from app.api.context import Context
from app.core.keys import create_first_key
from app.core.service_log import log_to_stderr
from app.core.settings import Settings
from app.main import create_app

GRACE_SECONDS = 5


def run_api(settings: Settings, socket_number: int | None) -> None:
    """Until SIGTERM. `socket_number` is of a socket that listens already; without it one is opened."""
    log_to_stderr(settings.log_level)
    app = create_app(settings)
    _show_first_key(app.state.context)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listening = None if socket_number is None else [socket.socket(fileno=socket_number)]
    uvicorn.Server(config).run(sockets=listening)


def _show_first_key(context: Context) -> None:
    secret = create_first_key(context.database) if context.needs_keys else None
    if secret is not None:
        typer.echo(f"The first key, for an admin. It is shown this once: {secret}")
