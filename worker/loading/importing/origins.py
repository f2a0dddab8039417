"""What an answer depends on: the values of the input, or its sizes alone."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from worker.loading.importing.values import Traced, is_from_data, leaves

aten = torch.ops.aten
# What these answer depends on their first argument's sizes only.
OF_SIZES_ALONE = frozenset(
    {
        aten.sym_size.int,
        aten.sym_numel.default,
        aten.zeros_like.default,
        aten.ones_like.default,
        aten.full_like.default,
        aten.empty_like.default,
        aten.new_zeros.default,
        aten.new_ones.default,
        aten.new_full.default,
        aten.new_empty.default,
    }
)
PICKED_BY_MASK = frozenset({aten.index.Tensor, aten.masked_select.default})


def values_from_data(function: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any]) -> bool:
    if function not in OF_SIZES_ALONE:
        return is_from_data(*arguments, *named.values())
    return is_from_data(*arguments[1:], *named.values()) or has_sizes_from_data(arguments[0])


def sizes_from_data(function: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any]) -> bool:
    """Whether another input of the same sizes may get an answer of other sizes: `x[x > 0]`, or `x[:int(y)]`.

    True in doubt, for what sizes decide is then refused and not guessed.
    """
    is_in_place = isinstance(function, torch._ops.OpOverload) and function._schema.is_mutable
    read = leaves(list(arguments[:1]) if is_in_place else [*arguments, *named.values()])
    return _picks(function, arguments) or any(has_sizes_from_data(one) or _is_count(one) for one in read)


def has_sizes_from_data(value: Any) -> bool:
    return isinstance(value, Traced) and value.sizes_from_data


def _picks(function: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Whether it answers as many elements as there are of a kind."""
    if torch.Tag.dynamic_output_shape not in getattr(function, "tags", ()):
        return False
    deciding = leaves(list(arguments))
    if function in PICKED_BY_MASK:
        deciding = [one for one in leaves(list(arguments[1:])) if _is_mask(one)]
    return is_from_data(*deciding)


def _is_mask(value: Any) -> bool:
    return isinstance(value, Traced) and value.example.dtype in (torch.bool, torch.uint8)


def _is_count(value: Any) -> bool:
    return is_from_data(value) and type(value.example) is int
