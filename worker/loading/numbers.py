"""Plain numbers among an archive's arguments, tried where nobody said what they are."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import nn

from app.core.inputs import Inputs, NumberInput

# The last one of the integers: a sampling rate, the commonest number that networks are told.
_TRIED: dict[str, tuple[bool | int | float, ...]] = {
    "int": (1, 0, 2, 16000),
    "float": (1.0, 0.0),
    "bool": (False, True),
}


def arguments_of(module: nn.Module) -> list[Any]:
    """As the archive's forward declares them."""
    if not isinstance(module, torch.jit.ScriptModule):
        return []
    return list(module.forward.schema.arguments[1:])  # type: ignore[attr-defined]


def is_number(argument: Any) -> bool:
    return str(argument.type) in _TRIED


def with_guessed_numbers(module: nn.Module, candidates: Iterator[Inputs]) -> Iterator[Inputs]:
    """Each candidate for the tensors with each choice of the numbers that can't be left out."""
    arguments = arguments_of(module)
    needed = [one for one in arguments if is_number(one) and not one.has_default_value()]
    choices = [[NumberInput(name=one.name, value=value) for value in _TRIED[str(one.type)]] for one in needed]
    for tensors in candidates:
        for numbers in product(*choices):
            yield _in_order(arguments, tensors, numbers) if numbers else tensors


def _in_order(arguments: list[Any], tensors: Inputs, numbers: Inputs) -> Inputs:
    places = {argument.name: place for place, argument in enumerate(arguments)}
    return tuple(sorted((*tensors, *numbers), key=lambda one: places.get(one.name, 0)))
