"""How a state dict's network is described: torch.nn layers by an allow list."""

from typing import Annotated, Literal, Union

from pydantic import ConfigDict, Field, JsonValue

from app.core.schemas import Schema

LayerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}(\.[A-Za-z0-9_]{1,64}){0,7}$")]
LayerType = Literal[
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear", "Bilinear",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "Embedding", "LSTM", "GRU", "RNN", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout",
    "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh",
    "Hardtanh", "Hardsigmoid", "Hardswish", "Softplus", "Softmax", "LogSoftmax", "Identity", "Flatten", "Unflatten",
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "Upsample", "PixelShuffle",
    "ZeroPad2d", "TransformerEncoderLayer",
]  # fmt: skip


class Layer(Schema):
    """One torch.nn class with that class's own arguments beside `type` and `name`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    type: LayerType
    name: LayerName | None = None


class Residual(Schema):
    """The sum of `layers` and `shortcut` (nothing there: the input itself)."""

    type: Literal["Residual"]
    name: LayerName | None = None
    layers: tuple["AnyLayer", ...] = Field(min_length=1)
    shortcut: tuple["AnyLayer", ...] = ()


class Parallel(Schema):
    """Branches over one input, joined by sum or by concatenation along the channels."""

    type: Literal["Parallel"]
    name: LayerName | None = None
    branches: tuple[tuple["AnyLayer", ...], ...] = Field(min_length=1)
    join: Literal["sum", "concat"] = "sum"


AnyLayer = Annotated[Union[Layer, Residual, Parallel], Field(discriminator="type")]  # noqa: UP007


class LayersArchitecture(Schema):
    """A sequence of layers. A layer's `name` is the state dict's prefix; where there is none, its position."""

    source: Literal["layers"]
    layers: tuple[AnyLayer, ...] = Field(min_length=1, max_length=2000)


Architecture = LayersArchitecture
