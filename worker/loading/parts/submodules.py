"""The largest submodules that can be edited, each compared with the archive's own."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from app.core.facts import Blocker, PartFacts
from app.core.inputs import Inputs, tensor_inputs
from worker.archives.part import Arguments, Part
from worker.archives.state import state_kept
from worker.inputs import random_inputs, with_numbers
from worker.loading.importing import import_torchscript
from worker.loading.lifted import FREE_SIZES, lifted_module
from worker.loading.parts.recorder import Recorder
from worker.loading.unsupported import Unsupported
from worker.loading.verification import Differs, verify_calls

IMPORTED_AT = 2  # a batch of one hides which sizes are the batch's
# What an archive remembers of a call shows in the next one: its usual state is that after the first.
CALLS_IN_A_ROW = 2

NEVER_CALLED = "it isn't called with the inputs that are known, so nothing tells what it takes"
READ_FROM_OUTSIDE = "its parameters are read by other parts of the archive"
NOT_SUPPORTED = "its graph can't be followed"
DIFFERENT = "rebuilt, it answers otherwise than the archive's"


@dataclass
class Found:
    """`blockers` are all that stand in the way of the whole, on the way that the known inputs take."""

    parts: list[Part] = field(default_factory=list)
    facts: list[PartFacts] = field(default_factory=list)
    blockers: tuple[Blocker, ...] = ()


def find_parts(archive: torch.jit.ScriptModule, inputs: Inputs) -> Found:
    recorders = {batch: _recorded(archive, inputs, batch) for batch in FREE_SIZES}
    search = _Search(archive, recorders)
    search.below("", archive)
    blockers = {key: one for recorder in recorders.values() for key, one in recorder.blockers.items()}
    return Found(search.parts, search.facts, tuple(blockers.values()))


def _recorded(archive: torch.jit.ScriptModule, inputs: Inputs, batch: int) -> Recorder:
    recorder = Recorder(archive)
    for number in range(CALLS_IN_A_ROW):
        tensors = random_inputs(tensor_inputs(inputs), batch, seed=batch + number, free_size=FREE_SIZES[batch])
        recorder.record(with_numbers(inputs, tensors))
    return recorder


class _Search:
    """From the top down: below a part there is nothing more to look for."""

    def __init__(self, archive: torch.jit.ScriptModule, recorders: dict[int, Recorder]) -> None:
        self.parts: list[Part] = []
        self.facts: list[PartFacts] = []
        self._archive = archive
        self._recorders = recorders

    def below(self, path: str, module: nn.Module) -> None:
        for name, child in module.named_children():
            if any(True for _ in child.parameters()):
                self._look_at(f"{path}.{name}".lstrip("."), child)

    def _look_at(self, path: str, module: Any) -> None:
        reason = self._try(path, module)
        if reason is None or not any(True for one in module.children() for _ in one.parameters()):
            self.facts.append(PartFacts(name=path, editable=reason is None, reason=reason))
        elif reason == NEVER_CALLED and not self._is_called_below(path):
            self.facts.append(PartFacts(name=path, editable=False, reason=reason))
        else:
            self.below(path, module)

    def _is_called_below(self, path: str) -> bool:
        return any(called.startswith(f"{path}.") for one in self._recorders.values() for called in one.calls)

    def _try(self, path: str, module: Any) -> str | None:
        """Why it can't be edited; None once it is among the parts."""
        if not all(path in one.calls for one in self._recorders.values()):
            return NEVER_CALLED
        if any(path in one.read_from_outside for one in self._recorders.values()):
            return READ_FROM_OUTSIDE
        calls = {batch: one.calls[path][1] for batch, one in self._recorders.items()}
        method, arguments = self._recorders[IMPORTED_AT].calls[path]
        try:
            part = Part(path, _lifted(module, method, arguments), calls, method)
            with state_kept(module):
                verify_calls(part, module)
        except Unsupported as problem:
            return f"`{problem.operator}`: {problem.advice.rstrip('.')}"
        except Differs:
            return DIFFERENT
        except Exception:  # a graph that the importer was not made for: its parts may be
            return NOT_SUPPORTED
        self.parts.append(part)
        return None


def _lifted(module: torch.jit.ScriptModule, method: str, arguments: Arguments) -> fx.GraphModule:
    return lifted_module(import_torchscript(module, arguments, method).graph_module)
