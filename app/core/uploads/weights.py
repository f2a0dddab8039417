"""The named tensors of a pickled checkpoint: where they are nested and what their names are."""

from collections.abc import Mapping

from app.core.layouts import Value, plainly_named
from app.core.uploads import limits
from app.core.uploads.pickle_values import Tensor, UnsupportedTensor
from app.core.uploads.refusals import quoted, refusal

NESTED_UNDER = ("state_dict", "model_state_dict", "model_state", "model")


def named_tensors(checkpoint: object) -> dict[str, Tensor]:
    """The tensors of a state dict, also when it stands inside a checkpoint beside other entries."""
    entries = _state_dict(checkpoint)
    tensors: dict[str, Tensor] = {}
    for name, value in usably_named(entries).items():
        if isinstance(value, UnsupportedTensor):
            raise refusal(
                "unsupported_tensor",
                f"The tensor {quoted(name)} is {value.kind}. Supported are dense tensors of float64, float32, float16, "
                "bfloat16, integers and bool.",
            )
        tensors[name] = value
    return tensors


def _state_dict(checkpoint: object) -> dict[str, Tensor | UnsupportedTensor]:
    if not isinstance(checkpoint, dict):
        raise refusal(
            "not_a_state_dict", "The file holds something else than a dict of tensors: save model.state_dict()."
        )
    for key in NESTED_UNDER:
        inner = checkpoint.get(key)
        if isinstance(inner, dict) and (found := _tensors(inner)):
            return found
    if found := _tensors(checkpoint):
        return found
    keys = ", ".join(quoted(key) for key in list(checkpoint)[:8])
    raise refusal(
        "not_a_state_dict",
        f"No tensors were found at the top or under {', '.join(NESTED_UNDER)}; the file holds: {keys or 'nothing'}.",
    )


def _tensors(entries: dict[object, object]) -> dict[str, Tensor | UnsupportedTensor]:
    return {
        key: value
        for key, value in entries.items()
        if isinstance(key, str) and isinstance(value, Tensor | UnsupportedTensor)
    }


def usably_named(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """By their plain names; Invalid where one is unusable."""
    named = plainly_named(tensors)
    for name in named:
        if not (name.isprintable() and 0 < len(name) <= limits.TENSOR_NAME_LENGTH):
            raise refusal("malformed_tensor", f"A tensor's name can't be used: {quoted(name)}.")
    if len(named) > limits.TENSORS:
        raise refusal("malformed_tensor", f"The file holds more than {limits.TENSORS} tensors.")
    return named
