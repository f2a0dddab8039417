"""What a caller owns: found by id, or listed, newest first.

Ids sort by the time they were made, so an id is also a place in the list.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.errors import NotFound
from app.core.keys import Caller
from app.core.schemas import Schema
from app.core.tables import DatasetRow, JobRow, ModelRow, StudyRow

Item = TypeVar("Item", bound=Schema)
Row = TypeVar("Row", ModelRow, DatasetRow, JobRow, StudyRow)

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100


class Page(Schema, Generic[Item]):
    data: tuple[Item, ...]
    has_more: bool


def find_owned(session: Session, caller: Caller, table: type[Row], row_id: str, what: str, address: str) -> Row:
    """Raises `NotFound` where there is none, and alike where it is someone else's."""
    row = session.get(table, row_id)
    if row is None or not caller.may_see(row.owner):
        raise NotFound(f"There is no {what} {row_id!r}. GET {address} lists those there are.")
    return row


def page_of_owned(
    database: Database,
    caller: Caller,
    table: type[Row],
    present: Callable[[Row], Item],
    *conditions: ColumnElement[bool],
    limit: int,
    after: str | None,
) -> Page[Item]:
    """The rows that follow `after` in the list, and whether there are more."""
    query = select(table).where(*conditions)
    if not caller.is_admin:
        query = query.where(table.owner == caller.id)
    if after is not None:
        query = query.where(table.id < after)
    with database.reading() as session:
        rows = list(session.scalars(query.order_by(table.id.desc()).limit(limit + 1)))
        return Page(data=tuple(map(present, rows[:limit])), has_more=len(rows) > limit)
