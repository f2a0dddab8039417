"""Collects what a step says of its own work, row by row, within the bounds of a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from app.core.details import LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS, MOST_TABLES, DetailTable, Value


@dataclass
class _Table:
    columns: list[str] = field(default_factory=list)
    rows: list[Mapping[str, Value]] = field(default_factory=list)
    rows_left_out: int = 0

    def add(self, row: Mapping[str, Value]) -> None:
        if len(self.rows) == MOST_ROWS:
            self.rows_left_out += 1
            return
        self.columns += [name for name in row if name not in self.columns]
        self.rows.append(row)


class Details:
    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def add(self, title: str, row: Mapping[str, Value]) -> None:
        """Columns are the names of all rows, in the order of their first use."""
        if title in self._tables or len(self._tables) < MOST_TABLES:
            self._tables.setdefault(title, _Table()).add(row)

    def tables(self) -> tuple[DetailTable, ...]:
        return tuple(_finished(title, table) for title, table in self._tables.items())


def _finished(title: str, table: _Table) -> DetailTable:
    columns = table.columns[:MOST_COLUMNS]
    return DetailTable(
        title=title[:LONGEST_TEXT],
        columns=tuple(_heading(name) for name in columns),
        rows=tuple(tuple(_bounded(row.get(name)) for name in columns) for row in table.rows),
        rows_left_out=table.rows_left_out,
    )


def _heading(name: str) -> str:
    return name.replace("_", " ")[:LONGEST_TEXT]


def _bounded(value: Value) -> Value:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    return value if not isinstance(value, float) or isfinite(value) else None
