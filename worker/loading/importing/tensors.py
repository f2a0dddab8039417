"""Tensor operators that exist in TorchScript alone, or need more than being written down."""

from typing import Any

import torch

from worker.loading.importing.instruction import Instruction, computes, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.operators import call_operator
from worker.loading.importing.values import ELEMENT_TYPES, Traced, examples, is_tensor, leaves

aten = torch.ops.aten


@runs("aten::to")
def convert(interpreter: Interpreter, instruction: Instruction) -> Any:
    """To another element type; the place is left open, and numbers that a trace wrapped stay numbers."""
    tensor = instruction.inputs[0]
    if not is_tensor(tensor):
        return tensor
    named = instruction.named_inputs()
    other = named.get("other")
    dtype = examples(other).dtype if other is not None else _element_type(named.get("dtype"))
    if dtype is None or dtype is examples(tensor).dtype:
        return tensor
    return interpreter.write(aten.to.dtype, [tensor, dtype], {}, instruction.scope)


@computes("aten::cpu", "aten::cuda")
def to_place(tensor: Any) -> Any:
    return tensor


@runs("aten::detach", "aten::contiguous", "aten::clone", "aten::lift_fresh")
def same_values(interpreter: Interpreter, instruction: Instruction) -> Any:
    if not is_tensor(instruction.inputs[0]):
        return instruction.inputs[0]
    return call_operator(interpreter, instruction)


@runs("aten::tensor", "aten::as_tensor")
def tensor_of_numbers(interpreter: Interpreter, instruction: Instruction) -> Any:
    """A constant if it holds numbers, stacked from its parts if some come from sizes."""
    named = instruction.named_inputs()
    data, dtype = instruction.inputs[0], _element_type(named.get("dtype"))
    if not any(isinstance(one, Traced) for one in leaves(data)):
        return torch.tensor(data, dtype=dtype)
    if is_tensor(data):
        return data
    if isinstance(data, Traced):
        return interpreter.as_tensor(data, instruction.scope, dtype)
    parts = [interpreter.as_tensor(one, instruction.scope, dtype) for one in data]
    return interpreter.write(aten.stack.default, [parts], {}, instruction.scope)


def _element_type(code: Any) -> torch.dtype | None:
    return ELEMENT_TYPES[code] if isinstance(code, int) else None
