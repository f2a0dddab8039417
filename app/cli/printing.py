"""Lists and single items on the terminal."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

console = Console()


def print_table(items: Iterable[BaseModel], columns: Sequence[str]) -> None:
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column.removesuffix("_at").replace("_", " "), no_wrap=column == "id")
    for item in items:
        table.add_row(*(_cell(getattr(item, column)) for column in columns))
    console.print(table)


def print_item(item: BaseModel) -> None:
    console.print_json(item.model_dump_json())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
