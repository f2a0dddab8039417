"""Runs an archive's graph on example inputs and writes down, as an aten graph, what it does to tensors.

Python's part of the program (sizes, lists, branches, loops) is carried out; tensor operators are carried out and
written. Sizes are carried out *and* written, so that they stay free in the written graph.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx

from worker.loading.importing.constants import constant_answer
from worker.loading.importing.instruction import Instruction, handlers
from worker.loading.importing.lifetimes import last_reads
from worker.loading.importing.operators import ADVICE, call_operator
from worker.loading.importing.origins import sizes_from_data, values_from_data
from worker.loading.importing.scopes import Scopes
from worker.loading.importing.stored import StoredTensors
from worker.loading.importing.values import Submodule, Traced, examples, leaves, mapped
from worker.loading.unsupported import Unsupported
from worker.tree import graph_module

aten = torch.ops.aten
# What handlers raise when a graph does what nobody foresaw; none of it says anything to who made the network.
FOLLOWING_FAILED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class Interpreter:
    def __init__(self, archive: torch.jit.ScriptModule, method: str = "forward") -> None:
        self.graph = fx.Graph()
        self.stored = StoredTensors(archive, self.graph)
        self.guards: list[str] = []
        self.warnings: list[str] = []
        self.attributes: dict[str, Any] = {}  # of modules, as set by the program itself
        self._archive = archive
        self._method = archive._c._get_method(method)
        self._scopes = Scopes(archive)
        self._values: dict[int, Any] = {}

    @torch.no_grad()
    def run(self, example_inputs: Sequence[Any]) -> fx.GraphModule:
        program = self._method.inlined_graph
        this, *parameters = program.inputs()
        self._values[this.unique()] = Submodule("", self._archive)
        given = [self.given(one, example) for one, example in zip(parameters, example_inputs, strict=False)]
        self._bind(parameters, [*given, *self._defaults(len(example_inputs))])
        answers = self.run_block(program)
        self.graph.output(self.written(answers[0] if len(answers) == 1 else tuple(answers)))
        program_module = graph_module(self.stored.root, self.graph)
        program_module.meta["frozen"] = set() if self._has_parameters() else self.stored.constants
        return program_module

    def _has_parameters(self) -> bool:
        return any(True for _ in self._archive.parameters())

    def _defaults(self, given: int) -> list[Any]:
        """Values of the inputs after the given ones."""
        forward = self._method.schema.arguments[1:]
        needed = [one.name for one in forward if not one.has_default_value()]
        if not len(needed) <= given <= len(forward):
            names = ", ".join(one.name for one in forward)
            raise Unsupported(
                "forward", "", f"it takes {names}, and {given} inputs are given; say in `inputs` what each one is."
            )
        return [one.default_value for one in forward[given:]]

    def given(self, parameter: Any, example: Any) -> Any:
        """The value of an input: an input of the graph for each tensor in it. A plain number is always that number."""
        name = parameter.debugName().partition(".")[0]
        tensors = [one for one in leaves(example) if isinstance(one, Tensor)]
        names = iter([name] if len(tensors) == 1 else [f"{name}_{number}" for number in range(len(tensors))])
        return mapped(example, lambda one: self.placeholder(next(names), one) if isinstance(one, Tensor) else one)

    def placeholder(self, name: str, example: Tensor) -> Traced:
        return self.traced(self.graph.placeholder(name), example.clone(), from_data=True)

    def refuse(self, problem: Unsupported) -> None:
        """What could be carried out once, but not be part of an editable network."""
        raise problem

    def run_block(self, block: Any, inputs: Sequence[Any] = ()) -> list[Any]:
        """Carries out a block of instructions and answers its outputs. Values go when nothing reads them any more."""
        if inputs:
            self._bind(list(block.inputs()), inputs)
        nodes = list(block.nodes())
        outputs = list(block.outputs())
        ending = last_reads(nodes, outputs)
        for position, node in enumerate(nodes):
            self._bind(list(node.outputs()), self._answers(node))
            for value in ending.get(position, ()):
                self._values.pop(value, None)
        return [self._values[one.unique()] for one in outputs]

    def value_of(self, name: Any) -> Any:
        """The value of a graph's value; None if it isn't known here."""
        return self._values.get(name.unique())

    def _answers(self, node: Any) -> Sequence[Any]:
        inputs = [self.value_of(one) for one in node.inputs()]
        instruction = Instruction(node, inputs, self._scopes.of(node))
        try:
            answer = handlers.get(instruction.kind, call_operator)(self, instruction)
        except FOLLOWING_FAILED as error:
            raise Unsupported(instruction.kind, instruction.scope, ADVICE) from error
        return answer if node.outputsSize() != 1 else [answer]

    def _bind(self, names: Sequence[Any], values: Sequence[Any] | None) -> None:
        for name, value in zip(names, values or (), strict=False):
            self._values[name.unique()] = value

    def write(self, function: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any], scope: str) -> Any:
        """Carries a call out on the examples and writes it into the graph."""
        constant = constant_answer(function, arguments, named, self.stored)
        if constant is not None:
            return constant
        node = self.graph.call_function(function, tuple(self.written(list(arguments))), self.written(named))
        node.meta["scope"] = scope
        example = function(*examples(list(arguments)), **examples(named))
        origins = values_from_data(function, arguments, named), sizes_from_data(function, arguments, named)
        return self._parts(node, example, *origins)

    def calculated(self, function: Callable[..., Any], operands: Sequence[Any], scope: str) -> Any:
        """Python's own arithmetic: written only if something in it is."""
        if any(isinstance(one, Traced) for one in leaves(list(operands))):
            return self.write(function, operands, {}, scope)
        return function(*operands)

    def size(self, tensor: Any, dimension: int, scope: str) -> Any:
        """A number for a parameter, whose size belongs to its layer; a written size for what is computed."""
        if isinstance(tensor, Traced) and not self.stored.is_stored(tensor):
            return self.write(aten.sym_size.int, [tensor, dimension], {}, scope)
        return examples(tensor).size(dimension)

    def number_in(self, value: Any, instruction: Instruction) -> Any:
        """The number in a tensor of one: of a constant at once, of a computed one as `item` of its data."""
        if isinstance(value, Tensor) or (isinstance(value, Traced) and self.stored.is_stored(value)):
            return examples(value).item()
        if isinstance(value, Traced) and value.is_tensor:
            return self.write(aten.item.default, [value], {}, instruction.scope)
        return value

    def as_tensor(self, number: Any, scope: str, dtype: torch.dtype | None = None) -> Traced:
        kinds = {bool: torch.bool, int: torch.int64, float: torch.float32}
        named = {"dtype": dtype or kinds.get(type(examples(number)))}
        return cast(Traced, self.write(aten.scalar_tensor.default, [number], named, scope))

    def _parts(self, node: fx.Node, example: Any, *origins: bool) -> Any:
        """Operators that answer several tensors are read part by part."""
        if not isinstance(example, tuple | list):
            return self.traced(node, example, *origins)
        node.meta["val"] = mapped(example, _without_data)
        parts = []
        for position, part in enumerate(example):
            reader = self.graph.call_function(operator.getitem, (node, position))
            reader.meta["scope"] = node.meta["scope"]
            parts.append(self.traced(reader, part, *origins))
        return type(example)(parts) if type(example) in (list, tuple) else tuple(parts)

    def traced(self, node: fx.Node, example: Any, from_data: bool = False, sizes_from_data: bool = False) -> Traced:
        node.meta["val"] = _without_data(example)
        has_sizes = isinstance(example, Tensor) and example.dim() > 0
        return Traced(node, example, from_data, sizes_from_data and has_sizes)

    def written(self, value: Any) -> Any:
        """The value as an argument in the graph."""
        return mapped(value, self._written_leaf)

    def _written_leaf(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            value = self.stored.read_tensor(value)
        return value.node if isinstance(value, Traced) else value


def _without_data(example: Any) -> Any:
    return example.to("meta") if isinstance(example, Tensor) else example
