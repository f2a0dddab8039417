"""Operators without a module, as the torch function or tensor method of the same name.

Those that are generated from an operator's schema take the same arguments in the same order. Some names in
`torch` and `torch.nn.functional` belong to Python functions with other arguments or answers: they are left out, and
the operator stays as it is.
"""

import types
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from worker.loading.lifting.call import Call
from worker.loading.lifting.layer import Function

OWN_FORM_ONLY = frozenset({"aten::index_put"})  # the function refuses dimensions that are left out
SAME_IN_PYTHON = frozenset({"einsum", "split"})
FAMILIES = {"linalg_": torch.linalg, "fft_": torch.fft, "special_": torch.special}
PLACE_AND_LAYOUT = frozenset({"device", "layout", "pin_memory"})


def plain_function(call: Call) -> Function | None:
    if not call.name.startswith("aten::") or call.name in OWN_FORM_ONLY:
        return None
    target = _target(call.name.removeprefix("aten::"))
    return None if target is None else Function(target, *_arguments(call))


def _target(name: str) -> Callable[..., Any] | str | None:
    if name in SAME_IN_PYTHON:
        return cast(Callable[..., Any], getattr(torch, name))
    for prefix, family in FAMILIES.items():
        if name.startswith(prefix):
            return _generated(family, name.removeprefix(prefix))
    if isinstance(getattr(Tensor, name, None), types.MethodDescriptorType) and _generated(torch, name) is None:
        return name
    return _generated(torch, name) or _generated(torch._C._nn, name)


def _generated(namespace: Any, name: str) -> Callable[..., Any] | None:
    function = getattr(namespace, name, None)
    return function if isinstance(function, types.BuiltinFunctionType) else None


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
