"""How a state dict's network is described (docs/architectures.md): one schema for each `source`."""

import re
from typing import Annotated, Literal, Union

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, field_validator

from app.core.schemas import Schema
from app.core.transformers_config import cleaned
from app.core.written_networks import WrittenNetwork

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


class NetworkArchitecture(Schema):
    """A network that this service wrote: its `network.json`, which says what the layers are and how they are joined."""

    source: Literal["network"]
    network: WrittenNetwork = Field(description="The content of network.json.")


ArgumentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_LARGEST = 1 << 20
ArgumentNumber = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)] | Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
ArgumentValue = (
    bool
    | ArgumentNumber
    | Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{0,64}$")]
    | Annotated[tuple[bool | ArgumentNumber, ...], Field(max_length=64)]
    | None
)


class ZooArchitecture(Schema):
    """An image network of a library by its name, and the arguments that it was made with. Needs the extra `zoo`."""

    source: Literal["timm", "torchvision"]
    name: str = Field(pattern=r"^[a-zA-Z0-9_]{1,100}(\.[a-zA-Z0-9_]{1,100})?$", examples=["resnet18"])
    arguments: dict[ArgumentName, ArgumentValue] = Field(
        default_factory=dict, max_length=32, examples=[{"num_classes": 10}]
    )

    @field_validator("arguments")
    @classmethod
    def _fetch_nothing(cls, arguments: dict[str, ArgumentValue]) -> dict[str, ArgumentValue]:
        fetching = [name for name in arguments if _FETCHES.search(name)]
        if fetching:
            raise ValueError(f"`{fetching[0]}` would load other weights than the file's: leave it out")
        return arguments


_FETCHES = re.compile(r"pretrained|weights|checkpoint|cache|path|file|url|hub")

Architecture = Annotated[
    LayersArchitecture | TransformersArchitecture | ModelArchitecture | NetworkArchitecture | ZooArchitecture,
    Field(discriminator="source"),
]
ARCHITECTURE: TypeAdapter[Architecture] = TypeAdapter(Architecture)
