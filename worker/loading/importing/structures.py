"""Constants, lists, tuples, dicts and texts: plain Python while the graph is read."""

from typing import Any

from torch import Tensor

from worker.loading.importing.guards import decide
from worker.loading.importing.instruction import Instruction, computes, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.operators import call_operator
from worker.loading.importing.values import Traced, examples, is_tensor

PYTHON_NAMES = {"int": int, "float": float, "bool": bool, "str": str, "NoneType": type(None)}
CONTAINERS = {"List": list, "Dict": dict, "Tuple": tuple}


@runs("prim::Constant")
def constant(_interpreter: Interpreter, instruction: Instruction) -> Any:
    output = next(instruction.node.outputs())
    return None if str(output.type()) == "NoneType" else output.toIValue()


@computes("prim::ListConstruct")
def make_list(*parts: Any) -> list[Any]:
    return list(parts)


@computes("prim::TupleConstruct")
def make_tuple(*parts: Any) -> tuple[Any, ...]:
    return parts


@runs("prim::DictConstruct")
def make_dict(interpreter: Interpreter, instruction: Instruction) -> dict[Any, Any]:
    keys = decide(interpreter, instruction, instruction.inputs[::2])
    return dict(zip(keys, instruction.inputs[1::2], strict=True))


@runs("prim::ListUnpack", "prim::TupleUnpack")
def unpack(_interpreter: Interpreter, instruction: Instruction) -> Any:
    return instruction.answer(list(instruction.inputs[0]))


@runs("prim::TupleSlice")
def tuple_slice(_interpreter: Interpreter, instruction: Instruction) -> Any:
    return instruction.inputs[0][instruction.node.i("beg") : instruction.node.i("end")]


@runs("aten::__getitem__", "prim::TupleIndex")
def item(interpreter: Interpreter, instruction: Instruction) -> Any:
    values, position = instruction.inputs
    return values[decide(interpreter, instruction, position)]


@runs("aten::slice")
def part(interpreter: Interpreter, instruction: Instruction) -> Any:
    """Of a list or a text; of a tensor it is an operator."""
    values, *limits = instruction.inputs
    if is_tensor(values):
        return call_operator(interpreter, instruction)
    return values[slice(*decide(interpreter, instruction, limits))]


@runs("aten::_set_item")
def set_item(interpreter: Interpreter, instruction: Instruction) -> Any:
    values, position, value = instruction.inputs
    values[decide(interpreter, instruction, position)] = value
    return values


@computes("aten::append")
def append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


computes("aten::extend")(list.extend)
computes("aten::insert")(list.insert)
computes("aten::pop")(list.pop)
computes("aten::reverse")(list.reverse)
computes("aten::list")(list)
computes("aten::dict")(dict)


@runs("aten::get")
def get(interpreter: Interpreter, instruction: Instruction) -> Any:
    values, key, *default = instruction.inputs
    return values.get(decide(interpreter, instruction, key), *default)


@computes("aten::keys")
def keys(values: dict[Any, Any]) -> list[Any]:
    return list(values)


@computes("aten::values")
def values_of(values: dict[Any, Any]) -> list[Any]:
    return list(values.values())


@computes("aten::items")
def items(values: dict[Any, Any]) -> list[Any]:
    return list(values.items())


@runs("aten::__contains__")
def contains(interpreter: Interpreter, instruction: Instruction) -> bool:
    values, wanted = instruction.inputs
    among = decide(interpreter, instruction, values) if isinstance(values, list) else values
    return decide(interpreter, instruction, wanted) in among


@runs("aten::len")
def length(interpreter: Interpreter, instruction: Instruction) -> Any:
    values = instruction.inputs[0]
    return interpreter.size(values, 0, instruction.scope) if is_tensor(values) else len(values)


@runs("aten::format")
def format_text(interpreter: Interpreter, instruction: Instruction) -> Any:
    return interpreter.calculated(_formatted, instruction.inputs, instruction.scope)


def _formatted(text: str, *values: Any) -> str:
    return text.format(*(str(one) for one in values))


@runs("aten::__range_length")
def range_length(interpreter: Interpreter, instruction: Instruction) -> Any:
    """Written as the size itself where a loop runs over one, so that a guard can name it."""
    start, end, step = instruction.inputs
    if isinstance(end, Traced) and (start, step) == (0, 1):
        return end
    return interpreter.calculated(_rounds, [start, end, step], instruction.scope)


def _rounds(start: int, end: int, step: int) -> int:
    return len(range(start, end, step))


@computes("aten::__derive_index")
def derive_index(index: Any, start: Any, step: Any) -> Any:
    return examples(start) + index * examples(step)


@computes("prim::rangelist")
def range_list(end: Any) -> list[int]:
    return list(range(examples(end)))


@computes("prim::unchecked_cast", "prim::unchecked_unwrap_optional", "aten::_unwrap_optional", "prim::data")
@computes("prim::NumToTensor")
def same(value: Any, *_hints: Any) -> Any:
    """A cast; or a number that a trace wraps into a tensor, which stays a number."""
    return value


@computes("prim::Uninitialized", "prim::Print", "aten::warn", "aten::set_grad_enabled")
def nothing(*_inputs: Any) -> None:
    """What has no effect on the answer."""


@runs("prim::isinstance")
def is_instance(_interpreter: Interpreter, instruction: Instruction) -> bool:
    """By TorchScript's names of types: `Tensor`, `int`, `List[int]`."""
    return any(_is_of(instruction.inputs[0], str(kind)) for kind in instruction.node.tys("types"))


def _is_of(value: Any, kind: str) -> bool:
    if kind == "Tensor":
        return is_tensor(value)
    if kind in PYTHON_NAMES:
        return type(examples(value)) is PYTHON_NAMES[kind]
    return isinstance(value, CONTAINERS.get(kind.partition("[")[0], ())) and not isinstance(value, Tensor)
