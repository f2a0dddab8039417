"""The API's own process."""

import socket
from threading import Event
from types import FrameType

import typer
import uvicorn

from app.api.context import Context
from app.core.keys import create_first_key
from app.core.service_log import log_to_stderr
from app.core.settings import Settings
from app.main import create_app

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """Tells open streams that the process ends, so that it needn't wait for them."""

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


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
    Server(config, app.state.context.stopping).run(sockets=listening)


def _show_first_key(context: Context) -> None:
    secret = create_first_key(context.database) if context.needs_keys else None
    if secret is not None:
        typer.echo(f"The first key, for an admin. It is shown this once: {secret}")
