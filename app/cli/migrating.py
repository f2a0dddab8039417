"""Migration in a process of its own, so that the migrations take no memory of one that stays."""

import subprocess
import sys

import typer

# `-P` keeps a folder that happens to be named as one of our packages in the current directory out of the way.
PYTHON = (sys.executable, "-P", "-m")


def start_migration() -> subprocess.Popen[bytes]:
    return subprocess.Popen([*PYTHON, "app.cli", "migrate"])  # noqa: S603


def finish_migration(migration: subprocess.Popen[bytes]) -> None:
    if migration.wait():
        raise typer.Exit(1)
