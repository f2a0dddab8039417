"""Times are kept as seconds since 1970 and shown as RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

Time = Annotated[
    AwareDatetime,
    BeforeValidator(lambda value: datetime.fromtimestamp(value, UTC) if isinstance(value, float) else value),
]
