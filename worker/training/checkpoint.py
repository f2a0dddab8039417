"""The best weights so far."""

import torch
from torch import Tensor, nn


class Checkpoint:
    """One copy in memory of all parameters and buffers."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._kept: dict[str, Tensor] = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def keep(self) -> None:
        """Takes the module's present weights."""
        self._copy(self._module.state_dict(), self._kept)

    def restore(self) -> None:
        self._copy(self._kept, self._module.state_dict())

    @staticmethod
    def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in source.items():
                target[name].copy_(tensor)
