"""A network whose weights are what its packed ones unpack to."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from worker.archives.module import ArchiveModule
from worker.network import Network, layers_of
from worker.packing.in_torchscript import stored_packed
from worker.packing.packed import Packed, is_taken

Pack = Callable[[str, nn.Parameter], Packed | None]
Tell = Callable[[Sequence[str]], None]
NOT_STORED = (
    "{names}: in this archive they can't be stored in fewer bits, so they stay as they were, in float32. Its own code "
    "would have to unpack them, and it is shared with modules that aren't packed alike, or (in recurrent layers) holds "
    "them a second time. Let `only` and `exclude` choose all modules of one class or none of them, or take 8 bits by "
    "weight_quantization, which may differ between them."
)


def with_packed(network: Network, left_alone: Collection[str], pack: Pack, tell: Tell = lambda _names: None) -> Network:
    """`pack` answers None for a parameter that stays as it is. One that is packed already stays so, too; and one for
    which there is no place beside other tensors. `tell` is given the names of those that an archive which keeps its own
    forward can't hold so: rounding them would lose quality for nothing."""
    module = deepcopy(network.module)
    owners, names = layers_of(module), module.state_dict().keys()
    packed: dict[str, Packed] = {}
    for name, parameter in module.named_parameters():
        owner = name.rpartition(".")[0]
        layer = owner if owner in owners else ""
        stays = layer in left_alone or name in network.packed or is_taken(name, names)
        found = None if stays else pack(name, parameter if network.runs else _single(parameter))
        if found is not None:
            packed[name] = found
    lost = _not_stored(network, packed)
    if lost:
        tell(lost)
    kept = {name: one for name, one in packed.items() if name not in lost}
    parameters = dict(module.named_parameters())  # get_parameter() finds none by the odd names of weights alone
    for name, one in kept.items():
        _set(parameters[name], one.unpacked())
    return replace(network, module=module, packed={**network.packed, **kept})


def packed_alike(network: Network, layers: Sequence[str]) -> list[tuple[str, ...]]:
    """Which of the layers must have the same bits: in an archive that keeps its own forward, those that share code."""
    module: nn.Module = network.module
    if not isinstance(module, ArchiveModule):
        return [(layer,) for layer in layers]
    together, own = defaultdict[str, list[str]](list), layers_of(module)
    for layer in layers:
        name, _ = next(own[layer].named_parameters(layer, recurse=False))
        owner = module.place_of[name].rpartition(".")[0]
        together[str(module.kept.modules[owner]._c._type())].append(layer)
    return [tuple(names) for names in together.values()]


def named(names: Sequence[str], shown: int = 5) -> str:
    """A few of them, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"`{name}`" for name in names[:shown]) + more


def _not_stored(network: Network, packed: Mapping[str, Packed]) -> list[str]:
    module: nn.Module = network.module
    if not isinstance(module, ArchiveModule):
        return []
    everything = {module.place_of[name]: one for name, one in {**network.packed, **packed}.items()}
    stored = stored_packed(module.kept.archive, everything)
    return [name for name in packed if module.place_of[name] not in stored]


def _single(parameter: nn.Parameter) -> nn.Parameter:
    """What packing works on: a file of weights alone says of double precision that its codes unpack to that again."""
    is_double = parameter.dtype is torch.float64
    return nn.Parameter(parameter.detach().float(), requires_grad=False) if is_double else parameter


def _set(parameter: nn.Parameter, values: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values)
