"""How a state dict's network is described (docs/architectures.md): one schema for each `source`."""

from typing import Annotated, Literal, Union

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, field_validator

from app.core.schemas import Schema
from app.core.transformers_config import cleaned

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


class TransformersArchitecture(Schema):
    """A network of the transformers library, described by its `config.json`."""

    source: Literal["transformers"]
    config: dict[str, JsonValue] = Field(
        description="The content of config.json. `model_type` is needed; the first of `architectures` says which head "
        "the network has. Fields that name code or files elsewhere are left out.",
        examples=[{"model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_size": 128}],
    )

    @field_validator("config")
    @classmethod
    def _is_harmless(cls, config: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return cleaned(config)


class ModelArchitecture(Schema):
    """The network of another model, with the file's weights in place of its own."""

    source: Literal["model"]
    model: str = Field(
        pattern=r"^model_[a-z0-9]{1,34}$",
        description="A TorchScript archive, or a state dict whose architecture is taken over.",
        examples=["model_01m80bjn7szr66tvtq9p5t"],
    )


Architecture = Annotated[
    LayersArchitecture | TransformersArchitecture | ModelArchitecture, Field(discriminator="source")
]
ARCHITECTURE: TypeAdapter[Architecture] = TypeAdapter(Architecture)
