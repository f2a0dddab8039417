"""Tensor operators: carried out on the examples and written into the graph, unless they must be refused."""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from worker.loading.importing.guards import DECIDED_BY_DATA, decide
from worker.loading.importing.instruction import Instruction
from worker.loading.importing.origins import sizes_from_data
from worker.loading.importing.values import (
    ELEMENT_TYPES,
    LAYOUTS,
    MEMORY_FORMATS,
    constant_number,
    examples,
    is_from_data,
    is_tensor,
)
from worker.loading.unsupported import Unsupported

if TYPE_CHECKING:
    from worker.loading.importing.interpreter import Interpreter

OUTSIDE = frozenset({"aten::save", "aten::from_file", "aten::set_data", "aten::_load_tensor", "aten::_save"})
SWITCHES = ("train", "training", "dropout_p", "dropout")
IN_TRAINING_MODE = (
    "the network was saved in training mode; call model.eval() before torch.jit.trace or torch.jit.script."
)
ADVICE = (
    "it isn't supported; write this part with other operators of torch, or upload a state dict and its architecture."
)
CODES: dict[str, Any] = {"dtype": ELEMENT_TYPES, "layout": LAYOUTS, "memory_format": MEMORY_FORMATS}


def call_operator(interpreter: "Interpreter", instruction: Instruction) -> Any:
    overload = _for_number(_allowed(instruction), instruction)
    arguments = _arguments(interpreter, overload, instruction)
    _refuse_training_mode(interpreter, overload, arguments, instruction)
    _refuse_writes_to_stored(interpreter, overload, arguments, instruction)
    schema = {one.name: one for one in overload._schema.arguments}
    positional = [value for name, value in arguments.items() if not schema[name].kwarg_only]
    named = {name: value for name, value in arguments.items() if schema[name].kwarg_only}
    answer = interpreter.write(overload, positional, named, instruction.scope)
    if isinstance(answer, list) and sizes_from_data(overload, positional, named) and not _is_unpacked(instruction):
        interpreter.refuse(Unsupported(instruction.kind, instruction.scope, DECIDED_BY_DATA))
    return answer


def _is_unpacked(instruction: Instruction) -> bool:
    """Whether the program takes the answer's parts as so many as it has names for."""
    return all(use.user.kind() == "prim::ListUnpack" for use in instruction.node.output().uses())


def _allowed(instruction: Instruction) -> torch._ops.OpOverload:
    overload = instruction.overload()
    if overload is None or overload.namespace != "aten" or instruction.kind in OUTSIDE:
        raise Unsupported(instruction.kind, instruction.scope, ADVICE)
    return overload


def _for_number(overload: torch._ops.OpOverload, instruction: Instruction) -> torch._ops.OpOverload:
    """The form that takes a number, when a trace wrapped one into the second tensor."""
    names = [one.name for one in overload._schema.arguments]
    if "other" not in names or is_tensor(constant_number(instruction.inputs[names.index("other")])):
        return overload
    scalar = getattr(overload.overloadpacket, overload._overloadname.replace("Tensor", "Scalar"), overload)
    return cast(torch._ops.OpOverload, scalar)


def _arguments(interpreter: "Interpreter", overload: torch._ops.OpOverload, instruction: Instruction) -> dict[str, Any]:
    """By name; enumerations as torch's own objects, numbers in the place of the first tensor as tensors."""
    arguments = {}
    for parameter, value in zip(overload._schema.arguments, instruction.inputs, strict=True):
        codes = CODES.get(parameter.name)
        if codes is not None and isinstance(value, int):
            value = codes[value]
        if str(parameter.type) == "bool" and not is_from_data(value):
            value = decide(interpreter, instruction, value)
        elif parameter.name == "other":
            value = constant_number(value)
        elif str(parameter.type) == "Tensor" and not is_tensor(value):
            value = interpreter.as_tensor(value, instruction.scope)
        arguments[parameter.name] = value
    return arguments


def _refuse_training_mode(
    interpreter: "Interpreter", overload: torch._ops.OpOverload, arguments: dict[str, Any], instruction: Instruction
) -> None:
    switches = [arguments[name] for name in SWITCHES if name in arguments]
    normalizes = instruction.kind == "aten::batch_norm" and arguments["running_mean"] is None
    if switches and switches[0] not in (False, 0.0) and not normalizes and _is_random_or_normalizes(overload):
        interpreter.refuse(Unsupported(instruction.kind, instruction.scope, IN_TRAINING_MODE))
    if not switches and torch.Tag.nondeterministic_seeded in overload.tags:
        advice = "its answer is random; give random numbers in as an input."
        interpreter.refuse(Unsupported(instruction.kind, instruction.scope, advice))


def _is_random_or_normalizes(overload: torch._ops.OpOverload) -> bool:
    name = overload._schema.name
    return torch.Tag.nondeterministic_seeded in overload.tags or "dropout" in name or "norm" in name


def _refuse_writes_to_stored(
    interpreter: "Interpreter", overload: torch._ops.OpOverload, arguments: dict[str, Any], instruction: Instruction
) -> None:
    for parameter in overload._schema.arguments:
        example = examples(arguments.get(parameter.name))
        is_written = parameter.alias_info is not None and parameter.alias_info.is_write
        if is_written and isinstance(example, Tensor) and interpreter.stored.shares_memory(example):
            advice = (
                "it changes a parameter or buffer when the network runs; call model.eval() before saving it, or give "
                "its state in and out as inputs and outputs."
            )
            interpreter.refuse(Unsupported(instruction.kind, instruction.scope, advice))
