"""What inspection finds out about a model or a data set."""

from typing import Literal, get_args

from pydantic import Field

from app.core.inputs import Inputs, InputsFrom
from app.core.measurements import OutputFormat
from app.core.schemas import Schema

ModelFormat = Literal["torchscript", "state_dict", "safetensors", "exported_program"]
WEIGHTS_ONLY: frozenset[ModelFormat] = frozenset({"state_dict", "safetensors"})
DatasetFormat = Literal["npz", "safetensors", "images"]
Editable = Literal["whole", "partly", "no"]
EVERY_FORMAT: tuple[OutputFormat, ...] = get_args(OutputFormat)
# What a worker needs for them is an extra of the same name. Whether it has that, inspection finds out.
OF_EXTRAS: frozenset[OutputFormat] = frozenset({"openvino"})
PLAIN_FORMATS = tuple(name for name in EVERY_FORMAT if name not in OF_EXTRAS)
Task = Literal["classification", "regression", "unlabelled"]

# What is known of a layer where there are only its tensors.
MATRICES, VECTORS = "weights", "vectors"


class LayerFacts(Schema):
    name: str
    type: str
    parameters: int
    macs: int | None = Field(description="Multiply-accumulates for one example.")
    output_shape: tuple[int, ...] | None


class Blocker(Schema):
    operator: str
    where: str
    advice: str


class PartFacts(Schema):
    """A submodule of an archive that can't be edited as a whole; `reason` says why this one can't either."""

    name: str
    editable: bool
    reason: str | None = None


class TechniqueFacts(Schema):
    technique: str
    available: bool
    reason: str | None = None


class ModelFacts(Schema):
    """Written by the worker's inspection; shown as a model's `facts`."""

    parameters: int
    macs: int | None
    runs: bool = Field(True, description="False for weights without the network that they belong to.")
    layers: tuple[LayerFacts, ...]
    answers: tuple[tuple[int, ...], ...] | None = Field(None, description="Shapes of the outputs for one example.")
    editable: Editable
    parts: tuple[PartFacts, ...] = Field((), description="Submodules, where the whole can't be edited.")
    blocked_by: tuple[Blocker, ...] = ()
    outputs: tuple[OutputFormat, ...] = Field(PLAIN_FORMATS, description="Formats that it can be written in.")
    techniques: tuple[TechniqueFacts, ...] = ()

    def layer_types(self) -> frozenset[str]:
        return frozenset(layer.type for layer in self.layers if layer.parameters)


class ModelInspection(Schema):
    """`layout` is of a network's tensors (see `layouts.py`), known from the start for files of weights alone. What
    doesn't run has no `inputs`."""

    facts: ModelFacts
    layout: str | None = None
    inputs: Inputs | None
    inputs_from: InputsFrom | None


class ArrayFacts(Schema):
    shape: tuple[int, ...]
    dtype: str


class DatasetFacts(Schema):
    """Written by the worker's inspection; shown as a data set's fields."""

    arrays: dict[str, ArrayFacts]
    task: Task
    examples: dict[Literal["train", "test"], int]
    classes: int | None
