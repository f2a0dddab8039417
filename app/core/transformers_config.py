"""What of a Hugging Face config.json is taken: numbers, names and switches; nothing that names code or files."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

LARGEST_NUMBER = 10**12
MOST_REPEATED = 4096

_MODEL_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLASS_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")
_REPEATED = re.compile(r"(num|n)_(.*_)?(layers?|blocks|stages)|(.*_)?(layers|depths?|blocks)")
_LEFT_OUT = frozenset(
    [
        "auto_map",
        "attn_implementation",
        "attn_implementation_internal",
        "experts_implementation",
        "quantization_config",
        "compression_config",
        "trust_remote_code",
        "name_or_path",
        "use_pretrained_backbone",
        "torch_dtype",
        "dtype",
        "torchscript",
        "device_map",
        "custom_pipelines",
        "index_path",
        "passages_path",
    ]
)


def cleaned(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Without the fields that would make the library load code, kernels or files; the precision and the way of
    computing attention are the service's to choose.

    Raises ValueError where `model_type` or `architectures` is not what the library writes, or a size is beyond what
    any network needs.
    """
    if not (isinstance(config.get("model_type"), str) and _MODEL_TYPE.fullmatch(str(config["model_type"]))):
        raise ValueError('`model_type` is missing, or is no name such as "bert"')
    heads = config.get("architectures") or []
    if not (isinstance(heads, list) and all(isinstance(head, str) and _CLASS_NAME.fullmatch(head) for head in heads)):
        raise ValueError('`architectures` is a list of class names such as ["BertForSequenceClassification"]')
    kept = _without_code(config)
    for name, number in _numbers(kept):
        limit = MOST_REPEATED if _REPEATED.search(name) and isinstance(number, int) else LARGEST_NUMBER
        if abs(number) > limit:
            raise ValueError(f"`{name[:64]}` is beyond {limit}")
    return kept


def _without_code(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        name: _without_code(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if not (name in _LEFT_OUT or name.startswith("_") or ("kernel" in name and not _is_size(value)))
    }


def _is_size(value: JsonValue) -> bool:
    """The sizes of convolutions' kernels are numbers; anything else chooses kernels that are loaded from elsewhere."""
    if isinstance(value, list):
        return all(map(_is_size, value))
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _numbers(value: JsonValue, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for inner, content in value.items():
            yield from _numbers(content, inner)
    elif isinstance(value, list):
        for content in value:
            yield from _numbers(content, name)
    elif isinstance(value, int | float):
        yield name, value
