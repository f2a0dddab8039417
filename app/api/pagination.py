"""The two parameters of every list."""

from typing import Annotated

from fastapi import Query

from app.core.pages import DEFAULT_LIMIT, LARGEST_LIMIT

Limit = Annotated[int, Query(ge=1, le=LARGEST_LIMIT, description="How many to list at most.")]
After = Annotated[
    str | None,
    Query(max_length=40, pattern="^[a-z0-9_]*$", description="An id: the list goes on with what follows it."),
]

__all__ = ["DEFAULT_LIMIT", "After", "Limit"]
