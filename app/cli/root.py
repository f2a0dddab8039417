"""Puts the commands together and tells problems in plain words."""

import os
import sys
from itertools import islice
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import compare, compress, datasets, doctor, jobs, keys, models, plan, service, studies
from app.cli.connection import USUAL_URL, Connection

UNAUTHORIZED = 401
HOW_TO_GIVE_A_KEY = "Give a command its key with --key or the variable MODELPRESS_KEY."


class OptionsAnywhere(TyperGroup):
    """Takes the options of all commands behind a command, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        front: list[str] = []
        behind: list[str] = []
        words = iter(args)
        for word in words:
            name = word.partition("=")[0]
            if name not in ("--url", "--key"):
                behind.append(word)
            else:
                front += [word] if "=" in word else [word, *islice(words, 1)]
        return super().parse_args(ctx, [*front, *behind])


application = typer.Typer(
    cls=OptionsAnywhere,
    help="Makes trained PyTorch models smaller and faster on a CPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
application.command()(service.serve)
application.command()(service.api)
application.command()(service.worker)
application.command()(service.migrate)
application.command()(compress.compress)
application.command()(compare.compare)
application.command()(plan.plan)
application.command()(doctor.doctor)
application.add_typer(models.group, name="models")
application.add_typer(datasets.group, name="datasets")
application.add_typer(jobs.group, name="jobs")
application.add_typer(studies.group, name="studies")
application.add_typer(keys.group, name="keys")


@application.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(envvar="MODELPRESS_URL", help="Where the service answers.", show_default=USUAL_URL),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="MODELPRESS_KEY", help="A key (mp_…), where the service asks for one.")
    ] = None,
) -> None:
    context.obj = Connection(url=url, key=key)


def main() -> None:
    try:
        application()
    except Exception as error:
        told = _told_plainly(error)
        if told is None:
            raise
        typer.secho(told, fg="red", err=True)
        sys.exit(1)


def _told_plainly(error: Exception) -> str | None:
    from app.client import ClientProblem
    from app.core.errors import Problem

    if not isinstance(error, Problem | ClientProblem):
        return None
    told = f"{error.title}.{os.linesep}{error.detail}"
    return f"{told}{os.linesep}{HOW_TO_GIVE_A_KEY}" if error.status == UNAUTHORIZED else told
