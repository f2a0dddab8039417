"""The base class of everything that crosses a boundary: closed and immutable."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """A closed record: an unknown field is an error, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
