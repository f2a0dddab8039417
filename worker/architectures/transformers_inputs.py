"""What a network of the transformers library takes, guessed from its config."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from app.core.inputs import InputSpec
from worker.architectures.by_name import Guess

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_IMAGE_SIZE = 224
_SAMPLES = 16_000  # a second of sound
_FRAMES = 3000
_TOKENS = 512
_OPTIONAL = "attention_mask"


def guesses(model: "PreTrainedModel", argument_names: Sequence[str]) -> Iterator[Guess]:
    """The likeliest first: all that the config describes; then without a mask; then the most important input alone."""
    specs = [spec for name in argument_names if (spec := _described(name, model)) is not None]
    if not specs or specs[0].name != argument_names[0]:
        return
    without_mask = tuple(spec for spec in specs if spec.name != _OPTIONAL)
    if any(spec.name == "input_ids" for spec in specs):
        yield tuple(specs)
    yield without_mask
    yield without_mask[:1]


def _described(name: str, model: "PreTrainedModel") -> InputSpec | None:
    describe = _DESCRIPTIONS.get(name)
    return describe(name, model) if describe else None


def _tokens(name: str, model: "PreTrainedModel") -> InputSpec | None:
    vocabulary = _setting(model, "vocab_size")
    if not isinstance(vocabulary, int):
        return None
    return _row(name, "time", model, high=vocabulary)


def _answered_tokens(name: str, model: "PreTrainedModel") -> InputSpec | None:
    vocabulary = _setting(model, "vocab_size")
    if not model.config.is_encoder_decoder or not isinstance(vocabulary, int):
        return None
    return _row(name, "target_time", model, high=vocabulary)


def _mask(name: str, model: "PreTrainedModel") -> InputSpec:
    return _row(name, "time", model, high=2)


def _row(name: str, dimension: str, model: "PreTrainedModel", high: int) -> InputSpec:
    longest = max(_longest(model), 1)
    return InputSpec(
        name=name, shape=("batch", dimension), dtype="int64", low=0, high=high, ranges={dimension: (1, longest)}
    )


def _longest(model: "PreTrainedModel") -> int:
    """A table of positions that keeps rows for padding has as many fewer for tokens."""
    positions = _setting(model, "max_position_embeddings") or _TOKENS
    tables = (layer for name, layer in model.named_modules() if name.endswith("position_embeddings"))
    table = next((table for table in tables if isinstance(table, nn.Embedding)), None)
    reserved = 0 if table is None or table.padding_idx is None else table.padding_idx + 1
    return int(positions) - reserved


def _image(name: str, model: "PreTrainedModel") -> InputSpec:
    size = _setting(model, "image_size") or _IMAGE_SIZE
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return InputSpec(name=name, shape=("batch", _setting(model, "num_channels") or 3, height, width))


def _sound(name: str, _model: "PreTrainedModel") -> InputSpec:
    return InputSpec(name=name, shape=("batch", _SAMPLES))


def _spectrum(name: str, model: "PreTrainedModel") -> InputSpec | None:
    bins = _setting(model, "num_mel_bins")
    if not isinstance(bins, int):
        return None
    frames = 2 * (_setting(model, "max_source_positions") or _FRAMES // 2)
    return InputSpec(name=name, shape=("batch", bins, frames))


def _setting(model: "PreTrainedModel", name: str) -> Any:
    """Of the config, or of the part of it that has it."""
    config = model.config
    parts = [config, *(getattr(config, part, None) for part in config.sub_configs)]
    return next((value for part in parts if (value := getattr(part, name, None)) is not None), None)


_DESCRIPTIONS: dict[str, Callable[[str, "PreTrainedModel"], InputSpec | None]] = {
    "input_ids": _tokens,
    "decoder_input_ids": _answered_tokens,
    "attention_mask": _mask,
    "pixel_values": _image,
    "input_values": _sound,
    "input_features": _spectrum,
}
