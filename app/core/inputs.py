"""What a network takes: names, shapes, kinds and ranges of its inputs, and the numbers that go with them."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictFloat, StrictInt, Tag, TypeAdapter, model_validator

from app.core.schemas import Schema

InputDtype = Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
Size = Annotated[int, Field(ge=1, le=1 << 24)] | Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")]
InputsFrom = Literal["given", "dataset", "guessed"]


class InputSpec(Schema):
    """One input. A string in `shape` is a free dimension; the first one is the batch."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$", examples=["x"])
    shape: tuple[Size, ...] = Field(min_length=1, max_length=8, examples=[["batch", 1, 28, 28]])
    dtype: InputDtype = "float32"
    low: int | None = Field(None, description="Smallest integer value (inclusive).")
    high: int | None = Field(None, description="Largest integer value (exclusive).")
    ranges: dict[str, tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]] = Field(
        default_factory=dict, description="Smallest and largest size of each free dimension."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> "InputSpec":
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("`high` is exclusive and must be greater than `low`")
        for name, (smallest, largest) in self.ranges.items():
            if name not in self.shape:
                raise ValueError(f"`ranges` names {name!r}, which is not a free dimension of `shape`")
            if smallest > largest:
                raise ValueError(f"the range of {name!r} is empty: write the smaller size first")
        return self


class NumberInput(Schema):
    """An argument of forward that is a plain number, and is always the same one: such as a sampling rate."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$", examples=["sampling_rate"])
    value: StrictBool | StrictInt | StrictFloat = Field(examples=[16000])


def _kind(given: Any) -> str:
    is_number = "value" in given if isinstance(given, dict) else isinstance(given, NumberInput)
    return "number" if is_number else "tensor"


Input = Annotated[
    Annotated[InputSpec, Tag("tensor")] | Annotated[NumberInput, Tag("number")],
    Discriminator(_kind),
]
Inputs = tuple[Input, ...]
INPUTS: TypeAdapter[Inputs] = TypeAdapter(Annotated[Inputs, Field(min_length=1, max_length=32)])


def tensor_inputs(inputs: Iterable[Input]) -> tuple[InputSpec, ...]:
    """Without the plain numbers: what data sets and most written files know of."""
    return tuple(spec for spec in inputs if isinstance(spec, InputSpec))
