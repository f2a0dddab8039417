"""A network whose weights are what its packed ones unpack to."""

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from worker.network import Network, layers_of
from worker.packing.packed import Packed, is_taken


def with_packed(
    network: Network, left_alone: Collection[str], pack: Callable[[str, nn.Parameter], Packed | None]
) -> Network:
    """`pack` answers None for a parameter that stays as it is. One that is packed already stays so, too; and one for
    which there is no place beside other tensors."""
    module = deepcopy(network.module)
    owners, names = layers_of(module), module.state_dict().keys()
    packed: dict[str, Packed] = {}
    for name, parameter in module.named_parameters():
        owner = name.rpartition(".")[0]
        layer = owner if owner in owners else ""
        stays = layer in left_alone or name in network.packed or is_taken(name, names)
        found = None if stays else pack(name, parameter if network.runs else _single(parameter))
        if found is not None:
            _set(parameter, found.unpacked())
            packed[name] = found
    return replace(network, module=module, packed={**network.packed, **packed})


def _single(parameter: nn.Parameter) -> nn.Parameter:
    """What packing works on: a file of weights alone says of double precision that its codes unpack to that again."""
    is_double = parameter.dtype is torch.float64
    return nn.Parameter(parameter.detach().float(), requires_grad=False) if is_double else parameter


def _set(parameter: nn.Parameter, values: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values)
