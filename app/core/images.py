"""How the images of a data set become numbers."""

from typing import Annotated

from pydantic import Field, TypeAdapter, model_validator

from app.core.schemas import Schema

Side = Annotated[int, Field(ge=1, le=1024)]
Channels = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]


class ImageTransform(Schema):
    """Each image is resized as a whole (bilinear), its values scaled to 0..1, and then `(value - mean) / std`."""

    size: Side | tuple[Side, Side] | None = Field(
        None, description="Of both sides, or [height, width]. Left out: all images must have the same size already."
    )
    mean: Channels = Field((0.0, 0.0, 0.0), description="One number for grey images, three for red, green and blue.")
    std: Channels = Field((1.0, 1.0, 1.0), description="As many numbers as `mean`, greater than zero.")

    @model_validator(mode="after")
    def _is_consistent(self) -> "ImageTransform":
        if len(self.mean) != len(self.std) or len(self.mean) == 2:
            raise ValueError("`mean` and `std` must both have one number, for grey images, or three, for coloured ones")
        if min(self.std) <= 0:
            raise ValueError("each number of `std` must be greater than zero")
        return self

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        return (self.size, self.size) if isinstance(self.size, int) else self.size


IMAGE_TRANSFORM: TypeAdapter[ImageTransform] = TypeAdapter(ImageTransform)
