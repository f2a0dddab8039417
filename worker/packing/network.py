"""A network whose weights are what its packed ones unpack to."""

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from worker.network import Network, layers_of
from worker.packing.packed import Packed


def with_packed(
    network: Network, left_alone: Collection[str], pack: Callable[[str, nn.Parameter], Packed | None]
) -> Network:
    """`pack` answers None for a parameter that stays as it is. One that is packed already stays so, too."""
    module = deepcopy(network.module)
    owners = layers_of(module)
    packed: dict[str, Packed] = {}
    for name, parameter in module.named_parameters():
        owner = name.rpartition(".")[0]
        layer = owner if owner in owners else ""
        found = None if layer in left_alone or name in network.packed else pack(name, parameter)
        if found is not None:
            _set(parameter, found.unpacked())
            packed[name] = found
    return replace(network, module=module, packed={**network.packed, **packed})


def _set(parameter: nn.Parameter, values: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values)
