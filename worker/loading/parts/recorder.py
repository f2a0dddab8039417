"""Carries an archive out, method by method, and notes what its submodules are called with.

Nothing is refused here: what can't be part of an editable network is noted and carried out as the example inputs
would have it, so that everything that stands in the way comes to light at once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from app.core.facts import Blocker
from worker.loading.importing.instruction import Instruction, runs
from worker.loading.importing.interpreter import Interpreter
from worker.loading.importing.values import Submodule, examples, mapped
from worker.loading.parts.methods import CALL, Methods
from worker.loading.unsupported import Unsupported

Arguments = tuple[Any, ...]


class Here:
    """The module whose method is being carried out stands for the scope of all its instructions."""

    path = ""

    def of(self, _node: Any) -> str:
        return self.path


class Recorder(Interpreter):
    """`calls` has, by their paths, the last call of each submodule's forward: its name and its arguments.

    `read_from_outside` are the submodules whose parameters someone reads who isn't called by their forward.
    """

    def __init__(self, archive: torch.jit.ScriptModule) -> None:
        super().__init__(archive)
        self.calls: dict[str, tuple[str, Arguments]] = {}
        self.blockers: dict[tuple[str, str], Blocker] = {}
        self.read_from_outside: set[str] = set()
        self._methods = Methods(archive)
        self._here = Here()
        self._scopes = self._here  # type: ignore[assignment]
        self._forwards: list[str] = []

    @torch.no_grad()
    def record(self, arguments: Sequence[Any]) -> None:
        """One call of the whole. The archive's state goes on from the call before."""
        top = Submodule("", self._archive)
        parameters = list(self._methods.graph(self._archive, "forward").inputs())[1:]
        given = [self.given(one, value) for one, value in zip(parameters, arguments, strict=False)]
        try:
            self.call(top, "forward", [*given, *self._defaults(len(given))])
        except Unsupported as problem:
            self.refuse(problem)

    def refuse(self, problem: Unsupported) -> None:
        blocker = Blocker(operator=problem.operator, where=problem.where, advice=problem.advice)
        self.blockers.setdefault((problem.operator, problem.where), blocker)

    def call(self, module: Submodule, method: str, arguments: Sequence[Any]) -> Any:
        """Carries out a method in a frame of its own: values are numbered in each graph anew."""
        graph = self._methods.graph(module.module, method)  # type: ignore[arg-type]
        before = self._values, self._here.path
        self._values, self._here.path = {}, module.path
        if is_forward(method):
            self._forwards.append(module.path)
        self._bind(list(graph.inputs()), [module, *arguments])
        (answer,) = self.run_block(graph)
        if is_forward(method):
            self._forwards.pop()
        self._values, self._here.path = before
        return answer

    def note_call(self, module: Submodule, method: str, arguments: Sequence[Any]) -> None:
        if is_forward(method) and any(True for _ in module.module.parameters()):
            self.calls[module.path] = method, tuple(mapped(examples(list(arguments)), _copied))

    def note_read(self, path: str) -> None:
        owner = path.rpartition(".")[0]
        while owner:
            if owner not in self._forwards:
                self.read_from_outside.add(owner)
            owner = owner.rpartition(".")[0]

    def _answers(self, node: Any) -> Sequence[Any]:
        if node.kind() == "prim::GetAttr":
            owner = self._values.get(node.inputsAt(0).unique())
            if isinstance(owner, Submodule) and self.stored.knows(owner.child(node.s("name"))):
                self.note_read(owner.child(node.s("name")))
        return super()._answers(node)


@runs(CALL)
def call_method(interpreter: Interpreter, instruction: Instruction) -> Any:
    assert isinstance(interpreter, Recorder)
    module, *arguments = instruction.inputs
    method = instruction.attribute()
    interpreter.note_call(module, method, arguments)
    return interpreter.call(module, method, arguments)


def is_forward(method: str) -> bool:
    """TorchScript numbers the forwards of a class that has several, such as those of recurrent layers."""
    return method == "forward" or method.startswith("forward__")


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
