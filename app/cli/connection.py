"""How a command reaches the running service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from app.client import Client


@dataclass(frozen=True)
class Connection:
    """What the options before the command said."""

    url: str
    key: str | None


def connect(context: typer.Context) -> Client:
    from app.client import Client

    connection: Connection = context.obj
    return Client(connection.url, connection.key)
