"""Operators without a module, as the torch function or tensor method of the same name.

Both take the arguments in the order of the operator's schema, because they are generated from it; the few that Python
wraps by hand, with other arguments, stay operators.
"""

from typing import Any

import torch
from torch import Tensor, nn

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Function

WRAPPED_BY_HAND = frozenset(
    {"stft", "istft", "cdist", "tensordot", "unique_consecutive", "lu_unpack", "atleast_1d", "norm", "nuclear_norm"}
)
PLACE_AND_LAYOUT = frozenset({"device", "layout", "pin_memory"})


def plain_function(call: Call) -> Function | None:
    name = call.name.removeprefix("aten::")
    if name in WRAPPED_BY_HAND or not call.name.startswith("aten::"):
        return None
    args, kwargs = _arguments(call)
    if hasattr(torch, name):
        return Function(getattr(torch, name), args, kwargs)
    if hasattr(Tensor, name):
        return Function(name, args, kwargs)
    if hasattr(nn.functional, name):
        return Function(getattr(nn.functional, name), args, kwargs)
    return None


def _arguments(call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments without those that have their default value; a device is never fixed."""
    schema = call.node.target._schema.arguments  # type: ignore[union-attr]
    given = [one for one in schema if not _is_default(call, one)]
    positional = [one for one in schema if not one.kwarg_only]
    last = max((index for index, one in enumerate(positional) if one in given), default=-1)
    args = tuple(call[one.name] for one in positional[: last + 1])
    named = {one.name: call[one.name] for one in given if one.kwarg_only and one.name not in PLACE_AND_LAYOUT}
    return args, named


def _is_default(call: Call, parameter: Any) -> bool:
    value = call[parameter.name]
    if not parameter.has_default_value():
        return False
    return type(value) is type(parameter.default_value) and value == parameter.default_value
