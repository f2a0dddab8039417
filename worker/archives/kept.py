"""An archive that goes on running by its own forward, over tensors that come from outside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.core.inputs import Inputs
from worker.archives.state import ArchiveState
from worker.inputs import with_numbers

FLAT_WEIGHTS = "_flat_weights"  # where scripted recurrent layers keep their parameters a second time


class KeptArchive:
    """One for all copies of a network: each puts its own tensors in before it runs.

    Code of an archive names no sizes of weights, so that smaller ones fit where it doesn't work with their sizes.
    """

    def __init__(self, archive: torch.jit.ScriptModule, inputs: Inputs) -> None:
        self.archive = archive
        self.inputs = inputs
        self.state = ArchiveState(archive)
        self.modules: dict[str, Any] = dict(archive.named_modules())
        self._flat = {path: _names_of_flat_weights(one) for path, one in self.modules.items()}

    def __deepcopy__(self, _memo: dict[int, Any]) -> "KeptArchive":
        return self

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """The tensors at these paths of the archive, which then shares them."""
        for path, tensor in tensors.items():
            owner, _, name = path.rpartition(".")
            self.modules[owner]._c.setattr(name, tensor)
        for path, names in self._flat.items():
            if names:
                module = self.modules[path]
                module._c.setattr(FLAT_WEIGHTS, [module._c.getattr(name) for name in names])

    def answer(self, tensors: Sequence[Tensor]) -> Any:
        """From the state that the archive was uploaded with."""
        self.state.restore()
        return self.archive(*with_numbers(self.inputs, tensors))

    def answer_again(self, tensors: Sequence[Tensor]) -> Any:
        """From the state that the call before has left."""
        return self.archive(*with_numbers(self.inputs, tensors))

    def save(self, path: Path) -> None:
        self.state.restore()
        torch.jit.save(self.archive, str(path))


def _names_of_flat_weights(module: nn.Module) -> list[str]:
    if not (isinstance(module, torch.jit.ScriptModule) and module._c.hasattr(FLAT_WEIGHTS)):
        return []
    name_of = {one.data_ptr(): name for name, one in module.named_parameters(recurse=False)}
    return [name_of[one.data_ptr()] for one in module._c.getattr(FLAT_WEIGHTS)]
