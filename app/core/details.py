"""What a step says of its own work: small tables, one row for each layer, group or whatever it worked on."""

from typing import Annotated

from pydantic import Field

from app.core.schemas import Schema

MOST_TABLES, MOST_COLUMNS, MOST_ROWS, LONGEST_TEXT = 8, 16, 200, 200

Value = Annotated[str, Field(max_length=LONGEST_TEXT)] | bool | int | float | None
Heading = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class DetailTable(Schema):
    """A row has a value for each column, null where there is none. `rows_left_out` were too many to be kept."""

    title: Heading
    columns: Annotated[tuple[Heading, ...], Field(max_length=MOST_COLUMNS)]
    rows: Annotated[
        tuple[Annotated[tuple[Value, ...], Field(max_length=MOST_COLUMNS)], ...], Field(max_length=MOST_ROWS)
    ]
    rows_left_out: int = Field(0, ge=0)
