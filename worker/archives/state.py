"""What an archive writes into itself when it runs, put back so that equal inputs have equal answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn

# torch's int8 layers set what they hold, which takes long to copy, when they are loaded, and not when they run.
_INT8_LAYERS = "__torch__.torch.ao."


class ArchiveState:
    """As it is when this is made: before anything has run."""

    def __init__(self, archive: torch.jit.ScriptModule) -> None:
        written = list(_written(archive))
        self._can_be_written = bool(written)
        self._attributes = [
            (owner, name, deepcopy(owner.getattr(name)))
            for owner, name in written
            if not owner._type().qualified_name().startswith(_INT8_LAYERS)
        ]
        self._buffers = [(one, one.clone(), one._version) for one in archive.buffers()]

    @property
    def is_written(self) -> bool:
        return self._can_be_written or any(one._version != version for one, _, version in self._buffers)

    def restore(self) -> None:
        with torch.inference_mode(False), torch.no_grad():
            for owner, name, value in self._attributes:
                owner.setattr(name, deepcopy(value))
            for position, (buffer, value, version) in enumerate(self._buffers):
                if buffer._version != version:
                    buffer.copy_(value)
                    self._buffers[position] = (buffer, value, buffer._version)


@contextmanager
def state_kept(module: nn.Module) -> Iterator[None]:
    """Whatever runs in here leaves no trace in `module`."""
    state = ArchiveState(module) if isinstance(module, torch.jit.ScriptModule) else None
    try:
        yield
    finally:
        if state is not None:
            state.restore()


def _written(archive: torch.jit.ScriptModule) -> Iterator[tuple[Any, str]]:
    """The modules and the names of their attributes that the archive's methods set, each once."""
    modules = {path: one._c for path, one in archive.named_modules() if isinstance(one, torch.jit.ScriptModule)}
    graphs = (
        (path, module._get_method(method).graph)
        for path, module in modules.items()
        for method in module._method_names()
    )
    written = (
        (_path(node.inputsAt(0), graph, path), node.s("name"))
        for path, graph in graphs
        for node in graph.findAllNodes("prim::SetAttr")
    )
    for path, name in dict.fromkeys(written):
        if path is not None:
            yield modules[path], name


def _path(value: Any, graph: Any, path: str) -> str | None:
    """Of the module that a value stands for in a method of the module at `path`; None for an object that lives within
    one call."""
    if value.debugName() == next(graph.inputs()).debugName():
        return path
    node = value.node()
    if node.kind() != "prim::GetAttr":
        return None
    owner = _path(node.inputsAt(0), graph, path)
    return None if owner is None else f"{owner}.{node.s('name')}".lstrip(".")
