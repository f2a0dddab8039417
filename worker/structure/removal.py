"""Cuts units out of a copy of a network: its parameters and buffers, the widths that layers bear, and the sizes that
its graph holds as numbers."""

from collections.abc import Collection, Sequence
from copy import deepcopy

import torch
from torch import Tensor, fx, nn

from worker.structure.analysis import Structure
from worker.structure.atoms import Marks
from worker.structure.sizes import mend_sizes


def without(
    module: fx.GraphModule, structure: Structure, atoms: Collection[int], inputs: Sequence[Tensor]
) -> fx.GraphModule:
    """A copy of `module` without `atoms`; `inputs` are those that `structure` was found with."""
    gone, changed = frozenset(atoms), deepcopy(module)
    _cut_tensors(module, changed, structure, gone)
    _set_widths(changed, structure, gone)
    mend_sizes(module, changed, structure, gone, inputs)
    return changed


def masked(module: fx.GraphModule, structure: Structure, atoms: Collection[int]) -> fx.GraphModule:
    """A copy of `module` in which all weights of `atoms` are zero."""
    gone, changed = frozenset(atoms), deepcopy(module)
    with torch.no_grad():
        for old, new in zip(module.parameters(), changed.parameters(), strict=True):
            for dim, marks in enumerate(structure.tensors[id(old)].dims if id(old) in structure.tensors else ()):
                kept = set(kept_indices(structure, marks, gone, old.shape[dim]))
                new.index_fill_(dim, torch.tensor([i for i in range(old.shape[dim]) if i not in kept]).long(), 0)
    return changed


def kept_indices(structure: Structure, marks: Marks, gone: frozenset[int], length: int) -> list[int]:
    if marks is None:
        return list(range(length))
    return [index for index, mark in enumerate(marks) if gone.isdisjoint(structure.atoms.now(mark))]


def _cut_tensors(module: nn.Module, changed: nn.Module, structure: Structure, gone: frozenset[int]) -> None:
    """Tied tensors stay tied."""
    cut: dict[int, Tensor] = {}
    for name, tensor in _tensors(module):
        marked = structure.tensors.get(id(tensor))
        if marked is None:
            continue
        if id(tensor) not in cut:
            cut[id(tensor)] = _cut(
                tensor, [kept_indices(structure, m, gone, n) for m, n in zip(marked.dims, tensor.shape, strict=True)]
            )
        owner, _, attribute = name.rpartition(".")
        setattr(changed.get_submodule(owner), attribute, cut[id(tensor)])


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]


def _cut(tensor: Tensor, kept: list[list[int]]) -> Tensor:
    narrowed = tensor.detach()
    for dim, indices in enumerate(kept):
        narrowed = narrowed.index_select(dim, torch.tensor(indices)) if len(indices) < tensor.shape[dim] else narrowed
    narrowed = narrowed.clone()
    return nn.Parameter(narrowed, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else narrowed


def _set_widths(module: nn.Module, structure: Structure, gone: frozenset[int]) -> None:
    for name, layer in module.named_modules():
        parts = structure.parts.get(name)
        if parts is not None and isinstance(layer, nn.GroupNorm):
            layer.num_groups = len(kept_indices(structure, parts, gone, layer.num_groups))
        elif parts is not None:
            layer.groups = len(kept_indices(structure, parts, gone, layer.groups))
        _set_width(layer)


def _set_width(layer: nn.Module) -> None:
    """What a layer says of its own size, from its tensors."""
    match layer:
        case nn.Linear():
            layer.out_features, layer.in_features = layer.weight.shape
        case nn.modules.conv._ConvTransposeNd():
            layer.in_channels, layer.out_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
        case nn.modules.conv._ConvNd():
            layer.out_channels, layer.in_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
        case nn.Embedding():
            layer.num_embeddings, layer.embedding_dim = layer.weight.shape
        case nn.LayerNorm():
            layer.normalized_shape = tuple(layer.weight.shape) if layer.elementwise_affine else layer.normalized_shape
        case nn.GroupNorm():
            layer.num_channels = len(layer.weight) if layer.affine else layer.num_channels
        case nn.PReLU():
            layer.num_parameters = len(layer.weight)
        case nn.RNNBase():
            _set_recurrent_width(layer)
        case nn.RNNCellBase():
            layer.input_size, layer.hidden_size = layer.weight_ih.shape[1], layer.weight_hh.shape[1]
        case nn.modules.batchnorm._NormBase():
            tensors = (layer.weight, layer.running_mean)
            layer.num_features = next((len(one) for one in tensors if one is not None), layer.num_features)


def _set_recurrent_width(layer: nn.RNNBase) -> None:
    """Raises ValueError where an LSTM would have no more units than its projection, which torch doesn't build."""
    layer.input_size = layer.get_parameter("weight_ih_l0").shape[1]
    layer.hidden_size = layer.get_parameter("weight_hr_l0" if layer.proj_size else "weight_hh_l0").shape[1]
    if layer.hidden_size <= layer.proj_size:
        raise ValueError(f"{layer.hidden_size} units for a projection to {layer.proj_size}")
    layer._flat_weights = [layer.get_parameter(name) for name in layer._flat_weights_names]
    layer.flatten_parameters()
