"""The uploads in a job's folder, as a child finds them."""

from typing import Annotated, Literal

from pydantic import Field

from app.core.architectures import Architecture
from app.core.facts import WEIGHTS_ONLY, DatasetFormat, ModelFormat
from app.core.facts import Task as DataTask
from app.core.images import ImageTransform
from app.core.inputs import Inputs, InputsFrom
from app.core.schemas import Schema

InFolder = Annotated[str, Field(pattern=r"^(inputs|outputs)(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$", max_length=300)]
"""A path relative to the job's folder. A child says such paths too, and none may lead out of there."""


class ModelFile(Schema):
    """`path` is relative to the job's folder. A pickled state dict arrives here as safetensors.

    `base` is the model that the architecture names, `sha256` of the file as it was sent.
    """

    path: InFolder
    format: ModelFormat
    sha256: str | None = None
    architecture: Architecture | None = None
    base: "ModelFile | None" = None
    inputs: Inputs | None = None
    inputs_from: InputsFrom | None = None

    @property
    def is_weights_alone(self) -> bool:
        """Weights without the network that they belong to: nothing can be computed with them."""
        return self.format in WEIGHTS_ONLY and self.architecture is None

    def formats(self) -> frozenset[ModelFormat]:
        """Of all files that loading it reads."""
        return frozenset({self.format}) | (self.base.formats() if self.base else frozenset())


class HalfOfTest(Schema):
    """One half of the test examples, which the `seed` has drawn. A search chooses by one, and proves by the other."""

    half: Literal["choice", "gate"]
    seed: int


class DatasetFile(Schema):
    """Of its test examples only the `part` is there for a child, if one is named."""

    path: InFolder
    format: DatasetFormat
    task: DataTask | None = None
    transform: ImageTransform | None = None
    part: HalfOfTest | None = None
