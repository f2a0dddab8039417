"""Weights without the network that they belong to: named tensors, and nothing that runs them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from app.core.facts import MATRICES, VECTORS
from worker.archives.module import StoredLayer

_STATISTICS = frozenset({"running_mean", "running_var"})


class WeightsAlone(StoredLayer):
    """A layer for each prefix of names, all of them directly below; tensors without a prefix are of the whole itself.

    Layers and tensors are entered past nn.Module's own checks: a name may hold what no attribute's can.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(VECTORS)
        self.eval()
        for name, tensor in tensors.items():
            prefix, _, leaf = name.rpartition(".")
            if prefix:
                _put(self._modules.setdefault(prefix, StoredLayer(VECTORS)), leaf, tensor)
            else:
                _put(self, name, tensor)


def _put(layer: Any, name: str, tensor: Tensor) -> None:
    if not _is_weight(name, tensor):
        layer._buffers[name] = tensor
        return
    layer._parameters[name] = nn.Parameter(tensor, requires_grad=False)
    if tensor.ndim >= 2:
        vars(layer)["original_name"] = MATRICES


def _is_weight(name: str, tensor: Tensor) -> bool:
    """Others are kept as they are: indices and counters, a norm's statistics, and masks, which hold infinity."""
    if not tensor.is_floating_point() or not tensor.numel() or name in _STATISTICS:
        return False
    return not bool(torch.isinf(tensor).any())
