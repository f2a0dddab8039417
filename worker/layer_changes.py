"""What a recipe did to each layer, read off the network before and after."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from app.core.layer_changes import MOST_HISTOGRAMS, MOST_LAYERS, LayerChange, WeightHistogram
from worker.network import Network, layers_of

BINS, MOST_VALUES = 40, 250_000


def layer_changes(before: Network, after: Network) -> tuple[LayerChange, ...]:
    """The 200 largest layers of both, in their order; the weights of the twelve largest of them."""
    old, new = _with_weights(before.module), _with_weights(after.module)
    successors = _successors(old, new)
    names = _largest({name: _parameters([layer]) for name, layer in old.items()}, MOST_LAYERS)
    shown = _largest({name: _parameters([old[name]]) for name in names}, MOST_HISTOGRAMS)
    return tuple(_change(name, old[name], successors[name], name in shown) for name in names)


def _with_weights(module: nn.Module) -> dict[str, nn.Module]:
    return {name: layer for name, layer in layers_of(module).items() if any(True for _ in layer.parameters(False))}


def _successors(old: Mapping[str, nn.Module], new: Mapping[str, nn.Module]) -> dict[str, list[nn.Module]]:
    """By each old layer's name what has that name now, or names beneath it: a chain of smaller layers, for instance."""
    found: dict[str, list[nn.Module]] = {name: [] for name in old}
    for name, layer in new.items():
        above = next((one for one in _and_those_above(name) if one in found), None)
        if above is not None:
            found[above].append(layer)
    return found


def _and_those_above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _largest(sizes: Mapping[str, int], most: int) -> list[str]:
    kept = set(sorted(sizes, key=lambda name: -sizes[name])[:most])
    return [name for name in sizes if name in kept]


def _change(name: str, old: nn.Module, new: list[nn.Module], shown: bool) -> LayerChange:
    tensors = [parameter for layer in new for parameter in layer.parameters(False)]
    return LayerChange(
        name=name[:200],
        type=_type(old)[:100],
        before=_parameters([old]),
        after=_parameters(new),
        nonzero_after=sum(int(torch.count_nonzero(tensor)) for tensor in tensors),
        weights=_histogram(_weight(old), _weight(new[0])) if shown and len(new) == 1 else None,
    )


def _parameters(layers: list[nn.Module]) -> int:
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters(False))


def _type(layer: nn.Module) -> str:
    """An archive's submodules have their class's name, and not its class."""
    return str(getattr(layer, "original_name", type(layer).__name__))


def _weight(layer: nn.Module) -> Tensor:
    """Of the largest parameter; where it has more than half a million values, one of every few."""
    values = max(layer.parameters(False), key=Tensor.numel).detach().flatten()
    return values[:: max(1, len(values) // MOST_VALUES)].float()


def _histogram(before: Tensor, after: Tensor) -> WeightHistogram | None:
    if not len(before) or not len(after):
        return None
    low, high = float(min(before.min(), after.min())), float(max(before.max(), after.max()))
    if not (torch.isfinite(before).all() and torch.isfinite(after).all()) or low == high:
        return None
    return WeightHistogram(
        low=low,
        high=high,
        before=_bins(before, low, high),
        after=_bins(after, low, high),
        zeros_before=float((before == 0).float().mean()),
        zeros_after=float((after == 0).float().mean()),
    )


def _bins(values: Tensor, low: float, high: float) -> tuple[int, ...]:
    return tuple(int(count) for count in torch.histc(values[values != 0], BINS, low, high))
