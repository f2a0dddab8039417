"""What inspection finds out about a model or a data set."""

from typing import Literal

from pydantic import Field

from app.core.inputs import InputsFrom, InputSpec
from app.core.schemas import Schema

ModelFormat = Literal["torchscript", "state_dict", "safetensors", "exported_program"]
DatasetFormat = Literal["npz", "safetensors", "images"]
Editable = Literal["whole", "partly", "no"]
Task = Literal["classification", "regression", "unlabelled"]


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


class TechniqueFacts(Schema):
    technique: str
    available: bool
    reason: str | None = None


class ModelFacts(Schema):
    """Written by the worker's inspection; shown as a model's `facts`."""

    parameters: int
    macs: int | None
    layers: tuple[LayerFacts, ...]
    editable: Editable
    blocked_by: tuple[Blocker, ...] = ()
    techniques: tuple[TechniqueFacts, ...] = ()

    def layer_types(self) -> frozenset[str]:
        return frozenset(layer.type for layer in self.layers if layer.parameters)


class ModelInspection(Schema):
    """`layout` is of a network's tensors (see `layouts.py`), known from the start for files of weights alone."""

    facts: ModelFacts
    layout: str | None = None
    inputs: tuple[InputSpec, ...]
    inputs_from: InputsFrom


class ArrayFacts(Schema):
    shape: tuple[int, ...]
    dtype: str


class DatasetFacts(Schema):
    """Written by the worker's inspection; shown as a data set's fields."""

    arrays: dict[str, ArrayFacts]
    task: Task
    examples: dict[Literal["train", "test"], int]
    classes: int | None
