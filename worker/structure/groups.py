"""The units that can be removed, in the groups that are alike: the channels of a layer, the heads of an attention."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from worker.structure.analysis import Role, Structure

Kind = Literal["channel", "neuron", "head", "hidden"]
GroupKey = tuple[str, int]

_CONVOLUTION = nn.modules.conv._ConvNd
_TRANSPOSED = nn.modules.conv._ConvTransposeNd


@dataclass(frozen=True)
class Slices:
    """Where units stand along `dim` of one parameter: unit number `units[i]` at index `indices[i]`, sorted by unit.

    `role` says what the slice does to the unit: a layer's `output` rows make it, `input` columns read it, and the
    `other` ones (biases, norms) go with it. `layer` is the owner's name.
    """

    parameter: str
    layer: str
    dim: int
    role: Role
    units: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Group:
    """`atoms` are the units, in order; `layers` those that make them. `exact` says that a network without a unit
    answers as one in which all its slices are zero. Groups that name the same `equal_with` must lose equally many;
    `smallest` is how many must stay.
    """

    name: str
    kind: Kind
    layers: tuple[str, ...]
    atoms: tuple[int, ...]
    slices: tuple[Slices, ...]
    exact: bool
    equal_with: int | None = None
    smallest: int = 1

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def key(self) -> GroupKey:
        """The same for the same units of the network after some of them went."""
        return self.slices[0].parameter, self.slices[0].dim

    @property
    def readers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.layer for one in self.slices if one.role == "input"))


def find_groups(module: nn.Module, structure: Structure) -> list[Group]:
    """In the order of the network's parameters."""
    _settle(module, structure)
    found = _places(module, structure)
    heads, statistics = _atoms_in(structure, structure.heads), _atoms_in(structure, structure.statistics)
    hidden = _atoms_in(structure, structure.hidden)
    groups = []
    for places in found.values():
        atoms = tuple(sorted({atom for _, _, atom, _ in places}))
        slices = tuple(_slices(module, structure, places, atoms))
        layers = tuple(dict.fromkeys(one.layer for one in slices if one.role == "output"))
        if len(atoms) > 1 and layers:
            kind = _kind(module, layers, is_head=atoms[0] in heads, is_hidden=atoms[0] in hidden)
            exact, cells = statistics.isdisjoint(atoms), _cells_of(structure, atoms[0])
            groups.append(Group(layers[0], kind, layers, atoms, slices, exact, cells, _smallest(module, slices)))
    return groups


def _cells_of(structure: Structure, atom: int) -> int | None:
    """The recurrent layer whose cells must stay equally wide."""
    return next((number for number, marks in enumerate(structure.cells) if atom in _atoms_in(structure, marks)), None)


def _smallest(module: nn.Module, slices: tuple[Slices, ...]) -> int:
    """An LSTM must have more units than its projection."""
    projections = [one.parameter for one in slices if ".weight_hr" in f".{one.parameter}"]
    return max((len(module.get_parameter(name)) + 1 for name in projections), default=1)


def _atoms_in(structure: Structure, marks: Iterable[tuple[int, ...]]) -> set[int]:
    return {atom for mark in marks for atom in structure.atoms.now(mark)}


def _places(module: nn.Module, structure: Structure) -> dict[int, list[tuple[str, int, int, int]]]:
    """By axis: (parameter, dimension, atom, index)."""
    found: dict[int, list[tuple[str, int, int, int]]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        for dim, marks in enumerate(
            structure.tensors[id(parameter)].dims if id(parameter) in structure.tensors else ()
        ):
            for index, mark in enumerate(marks or ()):
                for atom in structure.atoms.now(mark):
                    found[structure.atoms.axis_of(atom)].append((name, dim, atom, index))
    return found


def _settle(module: nn.Module, structure: Structure) -> None:
    """Where an index goes for two reasons, one is chosen: heads, else the finer axis. A ratio would count twice."""
    heads = _atoms_in(structure, structure.heads)
    sizes = {axis: len({atom for _, _, atom, _ in places}) for axis, places in _places(module, structure).items()}
    axis_of = structure.atoms.axis_of
    for mark in list(_marks(module, structure)):
        atoms = structure.atoms.now(mark)
        axes = {axis_of(atom) for atom in atoms}
        if len(axes) > 1:
            best = max(axes, key=lambda axis: (any(axis_of(a) == axis for a in heads & set(atoms)), sizes.get(axis, 0)))
            structure.atoms.freeze([(atom,) for atom in atoms if axis_of(atom) != best])


def _marks(module: nn.Module, structure: Structure) -> Iterator[tuple[int, ...]]:
    for parameter in module.parameters():
        if id(parameter) in structure.tensors:
            for marks in structure.tensors[id(parameter)].dims:
                yield from marks or ()


def _slices(
    module: nn.Module, structure: Structure, places: list[tuple[str, int, int, int]], atoms: tuple[int, ...]
) -> Iterator[Slices]:
    number = {atom: position for position, atom in enumerate(atoms)}
    by_dimension: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for name, dim, atom, index in places:
        by_dimension[name, dim].append((number[atom], index))
    for (name, dim), found in by_dimension.items():
        layer = name.rpartition(".")[0]
        units, indices = torch.tensor(sorted(found)).unbind(1)
        role = structure.roles.get((name, dim)) or _role(module, name, dim)
        yield Slices(name, layer, dim, role, units, indices)


def _role(module: nn.Module, name: str, dim: int) -> Role:
    owner, _, attribute = name.rpartition(".")
    layer = module.get_submodule(owner)
    if isinstance(layer, nn.Embedding):
        return "output"
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        return "input" if dim == 1 else "output" if attribute.startswith("weight") else "other"
    if attribute != "weight" or not isinstance(layer, nn.Linear | _CONVOLUTION):
        return "other"
    return "output" if dim == (1 if isinstance(layer, _TRANSPOSED) else 0) else "input"


def _kind(module: nn.Module, layers: tuple[str, ...], *, is_head: bool, is_hidden: bool) -> Kind:
    if is_head or is_hidden:
        return "head" if is_head else "hidden"
    return "channel" if any(isinstance(module.get_submodule(name), _CONVOLUTION) for name in layers) else "neuron"
