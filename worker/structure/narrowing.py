"""Makes layers and the numbers written in a graph narrower, after some units were chosen to go."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from worker.structure.following import Followed, NotFollowed, Use, along, varies

# The attribute that says how wide a layer's input is, by the dimension of its weights that holds it.
INPUT_WIDTHS = ("in_features", "in_channels", "input_size", "num_features")


def narrow_layers(module: nn.Module, uses: Sequence[Use], gone: Tensor) -> None:
    """In place. Units `gone` are taken out of every tensor that `uses` name."""
    for use in uses:
        layer = module.get_submodule(use.owner)
        kept = torch.nonzero(~torch.isin(use.units, gone)).flatten()
        tensor: Tensor = getattr(layer, use.name)
        narrowed = tensor.detach().index_select(use.dim, kept)
        if isinstance(tensor, nn.Parameter):
            narrowed = nn.Parameter(narrowed, requires_grad=tensor.requires_grad)
        setattr(layer, use.name, narrowed)
        if _is_input(layer, use):
            _set_width(layer, len(kept))


def _is_input(layer: nn.Module, use: Use) -> bool:
    if isinstance(layer, nn.RNNBase):
        return use.name.startswith("weight_ih_l0") and use.dim == 1
    return True


def _set_width(layer: nn.Module, width: int) -> None:
    if isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = (width,)
        return
    name = next(name for name in INPUT_WIDTHS if hasattr(layer, name))
    setattr(layer, name, width)


def narrow_constants(followed: Followed, gone: Tensor, width: int, count: int) -> None:
    """Sizes and bounds that are numbers in the graph, in place. Each cell of `width` units loses `count` of them."""
    for node, labels in followed.reshaped.items():
        _narrow_sizes(node, [_lost(_places(labels, width), dim, width, count) for dim in range(labels.ndim)])
    for node, labels in followed.sliced.items():
        tells_units = [varies(_places(labels, width), dim) for dim in range(labels.ndim)]
        _narrow_slices(node, labels, gone, tells_units)


def _places(labels: Tensor, width: int) -> Tensor:
    """Of units within their cell, counted from 1."""
    return torch.where(labels > 0, (labels - 1) % width + 1, 0)


def _lost(places: Tensor, dim: int, width: int, count: int) -> int:
    """How much shorter a dimension becomes: by none, if it tells cells or steps apart and not units."""
    if not varies(places, dim):
        return 0
    labelled = int((places > 0).sum(dim).amax())
    return labelled * count // width


def _narrow_sizes(node: fx.Node, lost: list[int]) -> None:
    name = str(getattr(node.target, "__name__", node.target))
    first = 2 if name == "unflatten" else 1
    given: Any = node.args[first:]
    in_list = len(given) == 1 and isinstance(given[0], list | tuple)
    sizes = list(given[0]) if in_list else list(given)
    dimension: Any = node.args[1] if name == "unflatten" else 0
    start = dimension % (len(lost) - len(sizes) + 1)
    for place, size in enumerate(sizes):
        if isinstance(size, int) and size > 0:
            sizes[place] = size - lost[start + place]
    node.args = (*node.args[:first], sizes) if in_list else (*node.args[:first], *sizes)


def _narrow_slices(node: fx.Node, labels: Tensor, gone: Tensor, tells_units: Sequence[bool]) -> None:
    index: Any = node.args[1]
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(isinstance(part, slice | int) or part is None or part is ... for part in parts):
        return
    for place, dim in _dimensions(parts, labels.ndim):
        if tells_units[dim] and _is_bounded(parts[place]):
            kept = ~torch.isin(along(labels, dim, f"`{node.name}`"), gone)
            parts[place] = _narrowed(parts[place], kept)
    node.args = (node.args[0], tuple(parts) if isinstance(index, tuple) else parts[0])


def _dimensions(parts: list[Any], dimensions: int) -> list[tuple[int, int]]:
    """(position in the index, dimension of the tensor) of each part that consumes one."""
    consuming = [place for place, part in enumerate(parts) if part is not None and part is not ...]
    if ... not in parts:
        return [(place, dim) for dim, place in enumerate(consuming)]
    before = [place for place in consuming if place < parts.index(...)]
    after = [place for place in consuming if place not in before]
    first = dimensions - len(after)
    return [(place, dim) for dim, place in enumerate(before)] + [
        (place, first + dim) for dim, place in enumerate(after)
    ]


def _is_bounded(part: Any) -> bool:
    return isinstance(part, int) or part.start is not None or part.stop is not None


def _narrowed(part: Any, kept: Tensor) -> slice:
    bounds = (part.start, part.stop) if isinstance(part, slice) else (part,)
    if isinstance(part, int) or part.step not in (None, 1) or not all(b is None or isinstance(b, int) for b in bounds):
        raise NotFollowed("single units are read one by one")
    start, stop, _ = part.indices(len(kept))
    return slice(int(kept[:start].sum()), int(kept[:stop].sum()))
