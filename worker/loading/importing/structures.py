"""Constants, lists, tuples, dicts and texts: plain Python while the graph is read."""

from typing import Any

from torch import Tensor

from worker.loading.importing.instruction import Instruction, computes, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.operators import call_operator
from worker.loading.importing.values import Traced, examples, is_from_data, is_tensor
from worker.loading.unsupported import Unsupported

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


@computes("prim::DictConstruct")
def make_dict(*parts: Any) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


@runs("prim::ListUnpack", "prim::TupleUnpack")
def unpack(_interpreter: Interpreter, instruction: Instruction) -> Any:
    return instruction.answer(list(instruction.inputs[0]))


@runs("prim::TupleSlice")
def tuple_slice(_interpreter: Interpreter, instruction: Instruction) -> Any:
    return instruction.inputs[0][instruction.node.i("beg") : instruction.node.i("end")]


@runs("aten::__getitem__", "prim::TupleIndex")
def item(_interpreter: Interpreter, instruction: Instruction) -> Any:
    values, position = instruction.inputs
    if is_from_data(position):
        raise Unsupported(instruction.kind, instruction.scope, "a list is indexed by a value computed from data.")
    return values[examples(position)]


@runs("aten::slice")
def part(interpreter: Interpreter, instruction: Instruction) -> Any:
    """Of a list or a text; of a tensor it is an operator."""
    values, *limits = instruction.inputs
    if is_tensor(values):
        return call_operator(interpreter, instruction)
    return values[slice(*(examples(one) for one in limits))]


@computes("aten::_set_item")
def set_item(values: Any, position: Any, value: Any) -> Any:
    values[examples(position)] = value
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
computes("aten::get")(dict.get)


@computes("aten::keys")
def keys(values: dict[Any, Any]) -> list[Any]:
    return list(values)


@computes("aten::values")
def values_of(values: dict[Any, Any]) -> list[Any]:
    return list(values.values())


@computes("aten::items")
def items(values: dict[Any, Any]) -> list[Any]:
    return list(values.items())


@computes("aten::__contains__")
def contains(values: Any, wanted: Any) -> bool:
    return examples(wanted) in examples(values)


@runs("aten::len")
def length(interpreter: Interpreter, instruction: Instruction) -> Any:
    values = instruction.inputs[0]
    return interpreter.size(values, 0, instruction.scope) if is_tensor(values) else len(values)


@computes("aten::format")
def format_text(text: str, *values: Any) -> str:
    return text.format(*(str(examples(one)) for one in values))


@computes("aten::__range_length")
def range_length(start: Any, end: Any, step: Any) -> Any:
    """Written as the size itself where a loop runs over one, so that a guard can name it."""
    if isinstance(end, Traced) and (start, step) == (0, 1):
        return end
    return len(range(examples(start), examples(end), examples(step)))


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
