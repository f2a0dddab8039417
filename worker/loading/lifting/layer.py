"""What a rule makes from operator calls, and the two tables of rules.

A *layer rule* turns a call into an `nn.Module`; a *function rule* writes it as a plain torch function. A rule that
doesn't apply to the call at hand answers None, and the next one is asked.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import fx, nn

from worker.loading.lifting.call import Call


@dataclass(frozen=True)
class Layer:
    """A module on the meta device with the right settings, and what belongs into it."""

    module: nn.Module
    inputs: tuple[Any, ...]
    tensors: Mapping[str, fx.Node | None] = field(default_factory=dict)
    absorbs: tuple[fx.Node, ...] = ()
    rewire: Callable[[fx.Graph, fx.Node], dict[fx.Node, fx.Node]] | None = (
        None  # its readers; answers which it replaced
    )

    @property
    def owned(self) -> dict[str, str]:
        """The module's tensor names -> the paths they have in the graph."""
        return {name: str(node.target) for name, node in self.tensors.items() if node is not None}


@dataclass(frozen=True)
class Function:
    """`target(*args, **kwargs)`; a text as target is a method of the first argument."""

    target: Callable[..., Any] | str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


Answer = TypeVar("Answer")
LayerRule = Callable[[Call], Layer | None]
FunctionRule = Callable[[Call], Function | None]

layer_rules: dict[str, list[LayerRule]] = defaultdict(list)
function_rules: dict[str, list[FunctionRule]] = defaultdict(list)


def lifts(*operators: str) -> Callable[[LayerRule], LayerRule]:
    """Registers a layer rule for operators such as `conv2d`."""

    def register(rule: LayerRule) -> LayerRule:
        for operator in operators:
            layer_rules[f"aten::{operator}"].append(rule)
        return rule

    return register


def writes(*operators: str) -> Callable[[FunctionRule], FunctionRule]:
    """Registers a function rule for operators such as `slice`."""

    def register(rule: FunctionRule) -> FunctionRule:
        for operator in operators:
            function_rules[f"aten::{operator}"].append(rule)
        return rule

    return register


def layer_for(call: Call) -> Layer | None:
    return _first_answer(layer_rules.get(call.name, ()), call)


def function_for(call: Call) -> Function | None:
    return _first_answer(function_rules.get(call.name, ()), call)


def _first_answer(rules: Sequence[Callable[[Call], Answer | None]], call: Call) -> Answer | None:
    answers = (rule(call) for rule in rules)
    return next((answer for answer in answers if answer is not None), None)
