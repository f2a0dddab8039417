"""A network as this service writes it beside a state dict: the content of network.json.

torch makes Python code of such a graph, so every name in it must be one, and every function known.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from app.core.inputs import InputDtype, InputSpec
from app.core.schemas import Schema
from app.core.uploads.torchscript_operators import is_allowed, names_in

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
TensorPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}(\.[A-Za-z0-9_]{1,100}){0,31}$")]
Packing = Literal["cast", "grouped", "grouped_bits", "codebook", "float8", "bitmask"]

_FUNCTION = re.compile(
    r"torch\.(?:_C\._nn\.|_C\._linalg\.|_C\._fft\.|_C\._special\.|functional\.|nn\.functional\.)?([A-Za-z0-9_]{1,100})"
)
_OPERATOR = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]{1,100})\.[A-Za-z][A-Za-z0-9_]{0,60}")
_OF_NUMBERS = names_in(
    """
    _operator.add _operator.sub _operator.mul _operator.truediv _operator.floordiv _operator.mod _operator.pow
    _operator.neg _operator.abs _operator.eq _operator.ne _operator.lt _operator.le _operator.gt _operator.ge
    _operator.and_ _operator.or_ _operator.not_ _operator.getitem math.sqrt math.exp math.log math.log2 math.floor
    math.ceil float torch.sym_max torch.sym_min torch.sym_int torch.sym_float torch.sym_not
    """
)
_OBJECTS = names_in(
    """
    bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 strided contiguous_format preserve_format
    channels_last channels_last_3d
    """
)
_MOST_NESTED = 8


def _known_value(value: JsonValue, depth: int = 0) -> JsonValue:
    """A plain value, or an object with one key that says what it is (see the loader beside every state dict)."""
    if not isinstance(value, dict | list):
        return value
    if isinstance(value, list) or len(value) != 1 or depth > _MOST_NESTED:
        raise ValueError('a value is a number, a text, or an object such as {"node": "x"} or {"tuple": [2, 2]}')
    ((kind, content),) = value.items()
    if not _is_known(kind, content, depth + 1):
        raise ValueError(f"there is no value of the kind {kind[:20]!r} with that content")
    return value


def _is_known(kind: str, content: JsonValue, depth: int) -> bool:
    if kind in ("tuple", "list", "slice"):
        parts = content if isinstance(content, list) else [{}]
        return all(_known_value(part, depth) is part for part in parts) and (kind != "slice" or len(parts) == 3)
    if kind == "dict":
        pairs = content if isinstance(content, list) else [None]
        return all(_is_pair(pair) and _known_value(pair[1], depth) is pair[1] for pair in pairs)  # type: ignore[index]
    texts: dict[str, Any] = {"torch": _OBJECTS, "float": ("inf", "-inf", "nan"), "device": ("cpu",)}
    return content in texts[kind] if kind in texts else kind == "ellipsis" or isinstance(content, str)


def _is_pair(pair: JsonValue) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)


Value = Annotated[JsonValue, AfterValidator(_known_value)]


class WrittenLayer(Schema):
    """A class of torch.nn and its constructor's arguments."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    name: TensorPath
    layer_class: str = Field(alias="class", pattern=r"^[A-Z][A-Za-z0-9]{0,60}$")
    arguments: dict[Identifier, JsonValue] = Field(max_length=64)


class WrittenTensor(Schema):
    """A parameter or buffer that belongs to no layer."""

    name: TensorPath
    kind: Literal["parameter", "buffer"]
    shape: tuple[Annotated[int, Field(ge=0, le=1 << 40)], ...] = Field(max_length=16)
    dtype: InputDtype


class WrittenNode(Schema):
    """One call of the graph, as in torch.fx."""

    op: Literal["placeholder", "get_attr", "call_function", "call_method", "call_module", "output"]
    name: Identifier
    target: str = Field(max_length=3300)
    args: tuple[Value, ...] = ()
    kwargs: dict[Identifier, Value] = Field(default_factory=dict, max_length=64)

    @model_validator(mode="after")
    def _target_is_known(self) -> "WrittenNode":
        if not _IS_KNOWN[self.op](self.target):
            raise ValueError(f"{self.op} of {self.target[:100]!r} is not among what networks need")
        return self


def _is_function(target: str) -> bool:
    found = _FUNCTION.fullmatch(target) or _OPERATOR.fullmatch(target)
    name = found[1] if found else ""
    return target in _OF_NUMBERS or name == "interpolate" or is_allowed("torch", name)


def _is_path(target: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", target) is not None


_IS_KNOWN: Mapping[str, Callable[[str], bool]] = {
    "placeholder": lambda target: re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", target) is not None,
    "get_attr": _is_path,
    "call_function": _is_function,
    "call_method": lambda target: is_allowed("torch", target),
    "call_module": _is_path,
    "output": lambda target: target == "output",
}


class WrittenStream(Schema):
    """What a tensor is made of that the file holds as a zlib stream."""

    dtype: Literal["float32", "float16", "bfloat16", "int64", "int8", "uint8"]
    shape: tuple[Annotated[int, Field(ge=0, le=1 << 40)], ...] = Field(max_length=16)


class WrittenNetwork(Schema):
    """The content of network.json.

    `tied` names tensors that are one, `renamed` those that the file has under another name than the network.
    """

    format_version: Literal[1]
    inputs: tuple[InputSpec, ...] = Field(min_length=1, max_length=32)
    layers: tuple[WrittenLayer, ...] = Field(max_length=20_000)
    tensors: tuple[WrittenTensor, ...] = Field(max_length=20_000)
    tied: dict[TensorPath, TensorPath] = Field(max_length=20_000)
    renamed: dict[TensorPath, TensorPath] = Field(default_factory=dict, max_length=20_000)
    graph: tuple[WrittenNode, ...] = Field(min_length=1, max_length=200_000)
    packed: dict[TensorPath, Packing] = Field(default_factory=dict, max_length=20_000)
    deflated: dict[TensorPath, WrittenStream] = Field(default_factory=dict, max_length=80_000)
