"""Numbers, truth values and comparisons.

A number that comes from a size is computed and written; one that doesn't is only computed. The same operators applied
to tensors are none of this file's business and go on to `operators`.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from worker.loading.importing.guards import decide
from worker.loading.importing.instruction import Instruction, computes, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.operators import call_operator
from worker.loading.importing.values import constant_number, examples, leaves

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "aten::add": operator.add,
    "aten::add_": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::div": operator.truediv,
    "aten::floordiv": operator.floordiv,
    "aten::floor_divide": operator.floordiv,
    "aten::remainder": operator.mod,
    "aten::pow": operator.pow,
    "aten::neg": operator.neg,
    "aten::abs": operator.abs,
    "prim::abs": operator.abs,
    "aten::sqrt": math.sqrt,
    "aten::exp": math.exp,
    "aten::log": math.log,
    "aten::log2": math.log2,
    "aten::floor": math.floor,
    "aten::ceil": math.ceil,
    "aten::round": round,
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::le": operator.le,
    "aten::gt": operator.gt,
    "aten::ge": operator.ge,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor,
    "aten::__not__": operator.not_,
    "prim::max": max,
    "prim::min": min,
    "aten::max": max,
    "aten::min": min,
    "aten::sum": sum,
    "aten::any": any,
    "aten::all": all,
}
OF_LISTS: Mapping[str, Callable[..., Any]] = {"aten::add": operator.add, "aten::add_": operator.iadd}
KINDS: Mapping[str, type] = {
    "aten::Int": int,
    "aten::IntImplicit": int,
    "aten::Float": float,
    "aten::FloatImplicit": float,
    "aten::Bool": bool,
    "aten::is_nonzero": bool,
}
ROUNDED = ("trunc", "floor")


@runs(*FUNCTIONS)
def calculate(interpreter: Interpreter, instruction: Instruction) -> Any:
    operands = [constant_number(one) for one in instruction.inputs]
    if isinstance(operands[0], list) and instruction.kind in OF_LISTS:
        return OF_LISTS[instruction.kind](*operands)
    if isinstance(operands[0], list) and instruction.kind == "aten::mul":
        return operands[0] * decide(interpreter, instruction, operands[1])
    if _is_about_tensors(operands):
        return call_operator(interpreter, instruction)
    function = FUNCTIONS[instruction.kind]
    if instruction.kind == "aten::div" and operands[-1] in ROUNDED:
        function = operator.floordiv
    if len(operands) == 3:  # the rounding mode, or the factor of a sum in a trace, which is 1 for numbers
        operands.pop()
    return interpreter.calculated(function, operands, instruction.scope)


@runs("aten::rsub")
def subtract_from(interpreter: Interpreter, instruction: Instruction) -> Any:
    operands = [constant_number(one) for one in instruction.inputs[:2]]
    if _is_about_tensors(operands):
        return call_operator(interpreter, instruction)
    return interpreter.calculated(operator.sub, operands[::-1], instruction.scope)


@runs("aten::Int", "aten::Float", "aten::Bool", "aten::item", "aten::is_nonzero")
@runs("aten::IntImplicit", "aten::FloatImplicit", "aten::ScalarImplicit")
def convert(interpreter: Interpreter, instruction: Instruction) -> Any:
    number = interpreter.number_in(instruction.inputs[0], instruction)
    kind = KINDS.get(instruction.kind)
    if kind is None or type(examples(number)) is kind:
        return number
    return interpreter.calculated(kind, [number], instruction.scope)


computes("aten::__is__")(operator.is_)
computes("aten::__isnot__")(operator.is_not)


def _is_about_tensors(operands: list[Any]) -> bool:
    return any(isinstance(one, Tensor) or isinstance(examples(one), Tensor) for one in leaves(operands))
