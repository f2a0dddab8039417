"""Lists, newest first. Ids sort by the time they were made, so an id is also a place in the list."""

from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.schemas import Schema

Row = TypeVar("Row")
Item = TypeVar("Item", bound=Schema)

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100


class Page(Schema, Generic[Item]):
    data: tuple[Item, ...]
    has_more: bool


def rows_of_page(
    session: Session, query: Select[Row], id_column: InstrumentedAttribute[str], limit: int, after: str | None
) -> tuple[list[Row], bool]:
    """The rows that follow `after` in the list, and whether there are more."""
    if after is not None:
        query = query.where(id_column < after)
    rows = list(session.scalars(query.order_by(id_column.desc()).limit(limit + 1)))
    return rows[:limit], len(rows) > limit
