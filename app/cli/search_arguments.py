"""Arguments of a search, and what they mean in the request of a study."""

from typing import Annotated, Any

import typer

MaxDrop = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Searches for the best recipe that loses no more, as a fraction: 0.01 is a point of accuracy, or without "
        "labels of agreement with the upload.",
    ),
]
MaxSize = Annotated[int | None, typer.Option(min=1, help="Of the file that is searched for, in bytes.")]
MaxLatency = Annotated[float | None, typer.Option(min=0, help="Of one call, in milliseconds.")]
Minimize = Annotated[str | None, typer.Option(help="latency, size or macs, of what keeps to the budget.")]
Prefer = Annotated[
    str | None,
    typer.Option(
        help="proved: a file of which it is proved that it keeps to the budget. cheapest: the one that costs least of "
        "those that keep to it, proved or not."
    ),
]
Trials = Annotated[int | None, typer.Option(min=1, help="A search tries so many recipes at most.")]
SearchSeconds = Annotated[int | None, typer.Option("--seconds", min=1, help="A search takes so long at most.")]


def search_options(
    budget: dict[str, float | None],
    minimize: str | None,
    prefer: str | None,
    trials: int | None,
    seconds: int | None,
) -> dict[str, Any] | None:
    """A study's `search`; None where no budget is given."""
    bounds = {name: value for name, value in budget.items() if value is not None}
    others = {"minimize": minimize, "prefer": prefer, "trials": trials, "seconds": seconds}
    given = {name: value for name, value in others.items() if value is not None}
    if given and not bounds:
        raise typer.BadParameter(
            f"--{next(iter(given))} is for a search: give its budget, too, such as --max-drop 0.01"
        )
    return {"budget": bounds, **given} if bounds else None
