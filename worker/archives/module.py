"""A network whose whole is an archive's own forward, and whose layers and parameters are edited here."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from worker.archives.kept import KeptArchive
from worker.archives.part import Part
from worker.tree import container, put_module


class StoredLayer(nn.Module):
    """The parameters of a module that only the archive knows how to run."""

    def __init__(self, original_name: str) -> None:
        super().__init__()
        self.original_name = original_name


class ArchiveModule(nn.Module):
    """Takes and answers what the whole does: it puts its parameters into the archive, and lets that run.

    Each part stands at its path as the graph of layers that it was rebuilt as; elsewhere there are parameters alone.
    Gradients reach all of them. A copy shares the archive, and nothing else.

    `place_of` has the archive's names of tensors, by those here.
    """

    def __init__(self, kept: KeptArchive, parts: Iterable[Part]) -> None:
        super().__init__()
        self.kept = kept
        self._parts = {part.path: part for part in parts}
        self._store_the_rest()
        for part in self._parts.values():
            put_module(self, part.path, part.module)
        self.place_of = dict(self._places())
        self._tie()
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        self.write_back()
        return _flat(self.kept.answer(inputs))

    def run_twice(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The answer to the second of two equal calls: an archive that remembers may take another way in it."""
        self(*inputs)
        return _flat(self.kept.answer_again(inputs))

    def write_back(self) -> None:
        tensors = {**dict(self.named_parameters(remove_duplicate=False)), **dict(self.named_buffers())}
        self.kept.put({self.place_of[name]: one for name, one in tensors.items() if name in self.place_of})

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(replace(part, module=self._graph_at(path)) for path, part in self._parts.items())

    def put_part(self, path: str, module: fx.GraphModule) -> None:
        put_module(self, path, module)

    def their_module(self, path: str) -> Any:
        """The archive's own module, with the present parameters."""
        self.write_back()
        self.kept.state.restore()
        return self.kept.modules[path]

    def _graph_at(self, path: str) -> fx.GraphModule:
        module = self.get_submodule(path)
        assert isinstance(module, fx.GraphModule)
        return module

    def _store_the_rest(self) -> None:
        for path, module in self.kept.modules.items():
            if not any(f"{path}.".startswith(f"{part}.") for part in self._parts):
                self._store(path, module)

    def _store(self, path: str, module: Any) -> None:
        parameters = dict(module.named_parameters(recurse=False, remove_duplicate=False))
        if parameters and path:
            put_module(self, path, StoredLayer(module.original_name))
        for name, one in parameters.items():
            copy = nn.Parameter(one.detach().clone(), requires_grad=one.is_floating_point())
            container(self, path).register_parameter(name, copy)

    def _places(self) -> Iterable[tuple[str, str]]:
        """This module's names of tensors and the archive's."""
        theirs = {*dict(self.kept.archive.named_parameters()), *dict(self.kept.archive.named_buffers())}
        renamed = {f"{path}.{new}": f"{path}.{old}" for path, new, old in self._renamed()}
        ours = [*dict(self.named_parameters(remove_duplicate=False)), *dict(self.named_buffers())]
        for name in ours:
            place = renamed.get(name, name)
            if place in theirs:
                yield name, place

    def _renamed(self) -> Iterable[tuple[str, str, str]]:
        for path, part in self._parts.items():
            for new, old in part.module.meta["renamed"].items():
                yield path, new, old

    def _tie(self) -> None:
        """Parameters that are one tensor in the archive are one here."""
        first: dict[int, nn.Parameter] = {}
        theirs = dict(self.kept.archive.named_parameters(remove_duplicate=False))
        for name, parameter in list(self.named_parameters(remove_duplicate=False)):
            if name in self.place_of and self.place_of[name] in theirs:
                owner, _, leaf = name.rpartition(".")
                one = first.setdefault(theirs[self.place_of[name]].data_ptr(), parameter)
                self.get_submodule(owner)._parameters[leaf] = one


def _flat(outputs: Any) -> Tensor | tuple[Tensor, ...]:
    tensors = tuple(one for one in tree_leaves(outputs) if isinstance(one, torch.Tensor))
    return tensors[0] if len(tensors) == 1 else tensors
