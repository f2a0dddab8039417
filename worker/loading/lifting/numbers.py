"""Arithmetic on sizes that a trace did with tensors of one number, as arithmetic on numbers.

A size kept in a tensor is fixed at its example value by the next trace; a number stays free.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, fx

from worker.loading.lifting.call import Call, example_of, is_operator

Number = Any  # an int or a float, or the node that computes one


ARITHMETIC: Mapping[str, Callable[..., Number]] = {
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::floor_divide": operator.floordiv,
    "aten::remainder": operator.mod,
    "aten::pow": operator.pow,
    "aten::neg": operator.neg,
    "aten::floor": math.floor,
    "aten::ceil": math.ceil,
}
UNCHANGED = frozenset(
    {"aten::to", "aten::_to_copy", "aten::detach", "aten::clone", "aten::lift_fresh_copy", "aten::alias"}
)


def arithmetic(call: Call) -> Callable[..., Number]:
    if call.name != "aten::div":
        return ARITHMETIC[call.name]
    # Sizes aren't negative: rounding down and towards zero are one.
    return operator.truediv if call.arguments.get("rounding_mode") is None else operator.floordiv


class _NumbersInTensors:
    def __init__(self, graph: fx.Graph, stored: dict[str, Tensor]) -> None:
        self.graph = graph
        self.stored = stored
        self.numbers: dict[fx.Node, Number] = {}

    def run(self) -> None:
        for node in list(self.graph.nodes):
            if is_operator(node):
                self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        call = Call(node, self.stored)
        first = next(iter(call.arguments.values()), None)
        if call.name in ("aten::scalar_tensor", "aten::_local_scalar_dense", "aten::item"):
            self._pass_through(node, first)
        elif call.name in UNCHANGED and first in self.numbers:
            self.numbers[node] = self.numbers[first]
        elif call.name in ARITHMETIC or call.name == "aten::div":
            self._calculate(node, call)

    def _pass_through(self, node: fx.Node, value: Any) -> None:
        if node.target._schema.name == "aten::scalar_tensor":  # type: ignore[union-attr]
            self.numbers[node] = value
        elif value in self.numbers:
            node.replace_all_uses_with(self.numbers[value])

    def _calculate(self, node: fx.Node, call: Call) -> None:
        operands = [call[name] for name in ("self", "other", "exponent") if name in call]
        numbers = [self._number(one) for one in operands]
        if None in numbers or not any(isinstance(one, fx.Node) and one in self.numbers for one in operands):
            return
        if call.arguments.get("alpha", 1) != 1:
            return
        function = arithmetic(call)
        with self.graph.inserting_before(node):
            new = self.graph.call_function(function, tuple(numbers))
        new.meta["val"] = function(*(example_of(one) for one in numbers))
        self.numbers[node] = new

    def _number(self, operand: Any) -> Number | None:
        if isinstance(operand, int | float):
            return operand
        if operand in self.numbers:
            return self.numbers[operand]
        return self._stored_number(operand)

    def _stored_number(self, operand: Any) -> Number | None:
        if not isinstance(operand, fx.Node):
            return None
        if operand.op == "get_attr":
            constant = self.stored[str(operand.target)]
            is_number = constant.dim() == 0 and not constant.is_floating_point() and not constant.requires_grad
            return constant.item() if is_number else None
        return operand if isinstance(example_of(operand), int) else None


def without_numbers_in_tensors(graph: fx.Graph, stored: dict[str, Tensor]) -> None:
    _NumbersInTensors(graph, stored).run()
