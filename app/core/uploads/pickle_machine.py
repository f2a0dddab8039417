"""A pickle's opcodes run on an abstract machine that describes what they would build, and runs nothing.

`pickletools` splits the bytes into opcodes. Where a name is not on the allow list, the machine goes on with a
placeholder to learn what kind of file it is, and the pickle is refused at the end in any case.
"""

import pickletools
from collections.abc import Callable
from typing import BinaryIO, cast

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.pickle_globals import Function
from app.core.uploads.pickle_reader import PickleReader, malformed
from app.core.uploads.pickle_values import Instance, Pickled, Storage, StorageType
from app.core.uploads.refusals import quoted, refusal

Resolve = Callable[[str, str], object | None]


def read_pickle(file: BinaryIO, resolve: Resolve) -> Pickled:
    """Describes the pickle at the file's position, and leaves the position after its end."""
    machine = _Machine(resolve)
    try:
        machine.run(file)
    except Invalid:
        if machine.result.forbidden is None:
            raise
    if machine.result.forbidden is not None:
        raise _forbidden(machine.result)
    return machine.result


def _forbidden(pickled: Pickled) -> Invalid:
    if pickled.is_module:
        return refusal(
            "pickled_module",
            "torch.save(model) stores Python classes by name, and loading them runs code. Save "
            "model.state_dict(), or use torch.jit.save with torch.jit.script(model) or torch.jit.trace(model, x).",
        )
    return refusal(
        "pickle_not_allowed",
        f"The pickle uses {quoted(pickled.forbidden)}, which is no part of a state dict. Save only the tensors: "
        "torch.save(model.state_dict(), path).",
    )


class _Mark:
    pass


_MARK = _Mark()
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENTS = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_KEY_TYPES = (str, int, float, bool, bytes, type(None))


class _Machine:
    def __init__(self, resolve: Resolve) -> None:
        self.result = Pickled()
        self._resolve = resolve
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._marks = 0

    def run(self, file: BinaryIO) -> None:
        opcodes = pickletools.genops(cast(BinaryIO, PickleReader(file)))
        try:
            for count, (opcode, argument, _) in enumerate(opcodes):
                if count > limits.PICKLE_OPCODES:
                    raise malformed(f"The pickle has more than {limits.PICKLE_OPCODES} instructions.")
                self._step(opcode.name, argument)
        except ValueError:
            raise malformed("The pickle is cut off or damaged.") from None
        if len(self._stack) != 1:
            raise malformed("The pickle ends without a value.")
        self.result.value = self._pop()

    def _step(self, name: str, argument: object) -> None:
        if name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _VALUES:
            self._stack.append(_VALUES[name])
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        else:
            raise malformed(f"The pickle uses the instruction {name}, which torch.save never writes.")

    def _pop(self) -> object:
        if not self._stack or self._stack[-1] is _MARK:
            raise malformed("The pickle takes a value that is not there.")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[object]:
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is _MARK:
                values = self._stack[position + 1 :]
                del self._stack[position:]
                self._marks -= 1
                return values
        raise malformed("The pickle takes values that are not there.")

    def mark(self, _: object) -> None:
        self._marks += 1
        if self._marks > limits.PICKLE_NESTING:
            raise malformed(f"The pickle is nested more than {limits.PICKLE_NESTING} deep.")
        self._stack.append(_MARK)

    def pop(self, _: object) -> None:
        if self._stack and self._stack[-1] is _MARK:
            self._pop_to_mark()
        else:
            self._pop()

    def duplicate(self, _: object) -> None:
        value = self._pop()
        self._stack += [value, value]

    def put(self, key: object) -> None:
        value = self._pop()
        self._stack.append(value)
        self._memo[cast(int, key)] = value

    def memoize(self, _: object) -> None:
        self.put(len(self._memo))

    def get(self, key: object) -> None:
        if key not in self._memo:
            raise malformed("The pickle recalls a value that it never kept.")
        self._stack.append(self._memo[key])

    def push_list(self, _: object) -> None:
        self._stack.append([])

    def push_dict(self, _: object) -> None:
        self._stack.append({})

    def push_tuple(self, size: int) -> None:
        values = [self._pop() for _ in range(size)]
        self._stack.append(tuple(reversed(values)))

    def tuple_from_mark(self, _: object) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def list_from_mark(self, _: object) -> None:
        self._stack.append(self._pop_to_mark())

    def dict_from_mark(self, _: object) -> None:
        values = self._pop_to_mark()
        self._stack.append({})
        self._set_items(values)

    def append(self, _: object) -> None:
        self._extend([self._pop()])

    def appends(self, _: object) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[object]) -> None:
        target = self._peek()
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Instance):
            raise malformed("The pickle appends to something that is no list.")

    def set_item(self, _: object) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def set_items(self, _: object) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, values: list[object]) -> None:
        target = self._peek()
        if len(values) % 2 or not isinstance(target, dict | Instance):
            raise malformed("The pickle sets items of something that is no dict.")
        if isinstance(target, dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            target.update((key, value) for key, value in pairs if isinstance(key, _KEY_TYPES))

    def _peek(self) -> object:
        value = self._pop()
        self._stack.append(value)
        return value

    def push_global(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self._push_named(module, name)

    def push_stack_global(self, _: object) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise malformed("The pickle names a global by something that is no text.")
        self._push_named(module, name)

    def _push_named(self, module: str, name: str) -> None:
        found = self._resolve(module, name)
        if found is None:
            full = f"{module}.{name}"
            self.result.forbidden = self.result.forbidden or full
            found = Function(full, lambda arguments: Instance(full, arguments))
        self._stack.append(found)

    def call(self, _: object) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Function) or not isinstance(arguments, tuple):
            raise malformed("The pickle calls something that can't be called.")
        self._stack.append(function.describe(arguments))

    def call_with_keywords(self, _: object) -> None:
        self._pop()
        self.call(None)

    def call_named(self, argument: object) -> None:
        values = tuple(self._pop_to_mark())
        self.push_global(argument)
        self._stack.append(values)
        self.call(None)

    def call_from_mark(self, _: object) -> None:
        values = self._pop_to_mark()
        self._stack += [values[0] if values else None, tuple(values[1:])]
        self.call(None)

    def build(self, _: object) -> None:
        state, target = self._pop(), self._peek()
        if isinstance(target, Instance):
            target.state = state
            if isinstance(state, dict) and "_parameters" in state and "_modules" in state:
                self.result.is_module = True

    def load_persistent(self, _: object) -> None:
        match self._pop():
            case ("storage", StorageType(dtype=dtype), str(key), str(), int(elements)) if 0 <= elements < 1 << 48:
                self._stack.append(self._storage(Storage(key, dtype, elements * dtype.size)))
            case ("storage", StorageType(dtype=dtype), str(key), str(), int(elements), None) if 0 <= elements < 1 << 48:
                self._stack.append(self._storage(Storage(key, dtype, elements * dtype.size)))
            case ("module", Function() as module_class, *_):
                self._stack.append(module_class)
            case _:
                raise malformed("The pickle refers to a storage in a way that torch.save never does.")

    def _storage(self, storage: Storage) -> Storage:
        if self.result.storages.setdefault(storage.key, storage) != storage:
            raise malformed(f"The pickle describes storage {quoted(storage.key)} in two ways.")
        return storage

    def ignore(self, _: object) -> None:
        pass


_Operation = Callable[[_Machine, object], None]
_OPERATIONS: dict[str, _Operation] = {
    "PROTO": _Machine.ignore,
    "FRAME": _Machine.ignore,
    "STOP": _Machine.ignore,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.pop(None),
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "EMPTY_LIST": _Machine.push_list,
    "EMPTY_DICT": _Machine.push_dict,
    "EMPTY_TUPLE": lambda machine, _: machine.push_tuple(0),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "TUPLE": _Machine.tuple_from_mark,
    "LIST": _Machine.list_from_mark,
    "DICT": _Machine.dict_from_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "EMPTY_SET": _Machine.push_list,
    "ADDITEMS": _Machine.appends,
    "FROZENSET": _Machine.list_from_mark,
    "GLOBAL": _Machine.push_global,
    "STACK_GLOBAL": _Machine.push_stack_global,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_with_keywords,
    "INST": _Machine.call_named,
    "OBJ": _Machine.call_from_mark,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.load_persistent,
}
