"""Hidden units of LSTM, GRU and RNN layers: where they stand, and a network without some of them.

A torch layer has one hidden width for all its cells (one for each layer of the stack and direction), so that each
cell loses as many units as the others, but chooses its own. A unit owns rows of its cell's weights and biases, one for
each gate, a column of its recurrent weights, and columns of whatever reads it: the next layer of the stack, or a layer
further on, which `following.py` finds.

An LSTM with projections keeps its outputs: its units are inside, behind the projection.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

import worker.structure.following_rules  # noqa: F401  # registers them
from worker.structure.following import Followed, Follower, NotFollowed, Use, unlabelled
from worker.structure.narrowing import narrow_constants, narrow_layers

GATES: dict[type[nn.Module], int] = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


@dataclass(frozen=True)
class HiddenUnits:
    """The units of one recurrent layer: `width` in each of `cells`. Unit u of cell c is counted as c * width + u + 1.

    `uses` are of tensors: what makes the units, and what reads them.
    """

    layer: str
    cells: int
    width: int
    smallest: int
    uses: tuple[Use, ...]

    def weights(self, module: nn.Module, cell: int, tensor: Callable[[Tensor], Tensor] = lambda one: one) -> Tensor:
        """All weights that would go with each unit of a cell, units x weights; `tensor` maps a parameter to what is
        looked at in its place, such as its gradient."""
        first = cell * self.width + 1
        rows = [
            rows
            for use in self.uses
            if isinstance(parameter := _tensor(module, use), nn.Parameter)
            for rows in _rows(tensor(parameter).movedim(use.dim, 0), use.units, first, self.width)
        ]
        return torch.cat(rows, dim=1)


def _rows(tensor: Tensor, units: Tensor, first: int, width: int) -> Iterator[Tensor]:
    """One row for each unit, of everything at its places."""
    positions = torch.nonzero((units >= first) & (units < first + width)).flatten()
    if len(positions):
        by_unit = positions[units[positions].argsort(stable=True)]
        yield tensor[by_unit].reshape(width, -1)


def _tensor(module: nn.Module, use: Use) -> Tensor:
    tensor: Tensor = getattr(module.get_submodule(use.owner), use.name)
    return tensor


def recurrent_layers(module: nn.Module) -> dict[str, nn.RNNBase]:
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.RNNBase)}


def hidden_units(module: fx.GraphModule, layer: str, inputs: Sequence[Tensor]) -> HiddenUnits:
    """`inputs` are a small batch, of at least two. Raises NotFollowed, saying what stands in the way."""
    recurrent = module.get_submodule(layer)
    assert isinstance(recurrent, nn.RNNBase)
    _check_owns_its_weights(module, layer)
    followed = _followed(module, layer, _numbered(recurrent), inputs)
    own, outside = own_uses(layer, recurrent), (use for uses in followed.uses.values() for use in uses)
    smallest = recurrent.proj_size + 1
    return HiddenUnits(layer, _cells(recurrent), recurrent.hidden_size, smallest, (*own, *outside))


def without_units(
    module: fx.GraphModule, units: HiddenUnits, removed: Sequence[Sequence[int]], inputs: Sequence[Tensor]
) -> fx.GraphModule:
    """A copy without `removed[cell]`, equally many of each cell. Raises NotFollowed where a number written in the
    graph would choose other units afterwards."""
    changed = deepcopy(module)
    recurrent = changed.get_submodule(units.layer)
    assert isinstance(recurrent, nn.RNNBase)
    numbered = _numbered(recurrent)
    followed = _followed(changed, units.layer, numbered, inputs)
    gone = torch.tensor([cell * units.width + unit + 1 for cell, of in enumerate(removed) for unit in of])
    narrow_constants(followed, gone, units.width, len(removed[0]))
    narrow_layers(changed, units.uses, gone)
    recurrent.hidden_size -= len(removed[0])
    recurrent.flatten_parameters()
    changed.recompile()
    kept = [cell[~torch.isin(cell, gone)] for cell in numbered]
    try:
        after = _followed(changed, units.layer, torch.stack(kept), inputs)
    except (RuntimeError, IndexError, ValueError) as error:
        raise NotFollowed("a number in the graph holds its width in a way that can't be changed") from error
    _check_reads_the_same(after, followed, gone)
    return changed


def _check_reads_the_same(after: Followed, before: Followed, gone: Tensor) -> None:
    """Every reader must find its units at the columns that it kept for them."""
    for owner, uses in before.uses.items():
        for use, found in zip(uses, after.uses[owner], strict=True):
            if not torch.equal(use.units[~torch.isin(use.units, gone)], found.units):
                raise NotFollowed(f"a number in the graph would give `{owner}` other units afterwards")


def own_uses(name: str, layer: nn.RNNBase) -> list[Use]:
    """Rows of all gates, recurrent columns, and the columns of the next layer of the stack."""
    numbers, directions, uses = _numbered(layer), _directions(layer), []
    for tensor in layer._flat_weights_names:
        number = _cell_number(tensor, directions)
        level = number // directions * directions
        if tensor.startswith("weight_hr"):
            uses.append(Use(name, tensor, 1, numbers[number]))
            continue
        uses.append(Use(name, tensor, 0, numbers[number].repeat(GATES[type(layer)])))
        if tensor.startswith("weight_hh") and not layer.proj_size:
            uses.append(Use(name, tensor, 1, numbers[number]))
        if tensor.startswith("weight_ih") and level and not layer.proj_size:
            uses.append(Use(name, tensor, 1, numbers[level - directions : level].flatten()))
    return uses


def _cell_number(tensor: str, directions: int) -> int:
    """Of `weight_ih_l1_reverse`, say: level 1, second direction."""
    level, _, reverse = tensor.rpartition("_l")[2].partition("_")
    return int(level) * directions + bool(reverse)


def _numbered(layer: nn.RNNBase) -> Tensor:
    """Units counted from 1, cells x width."""
    return torch.arange(1, _cells(layer) * layer.hidden_size + 1).view(_cells(layer), layer.hidden_size)


def _directions(layer: nn.RNNBase) -> int:
    return 2 if layer.bidirectional else 1


def _cells(layer: nn.RNNBase) -> int:
    return layer.num_layers * _directions(layer)


def _followed(module: fx.GraphModule, layer: str, numbers: Tensor, inputs: Sequence[Tensor]) -> Followed:
    recurrent = module.get_submodule(layer)
    assert isinstance(recurrent, nn.RNNBase)
    follower = Follower(module, layer, lambda answer: _emitted(recurrent, numbers, answer))
    _check_calls(module, layer)
    with torch.no_grad():
        follower.run(*inputs)
    _check_readers(module, follower.followed)
    return follower.followed


def _emitted(layer: nn.RNNBase, numbers: Tensor, answer: Any) -> Any:
    """Labels of `(outputs, state)`: outputs are of the last level's cells, a state of all cells."""
    outputs, state = answer
    cells = numbers if outputs.ndim == 2 else numbers.unsqueeze(1)
    if layer.proj_size:
        return unlabelled(outputs), (unlabelled(state[0]), cells.expand(state[1].shape))
    level = numbers[-_directions(layer) :].flatten()
    return level.expand(outputs.shape), tree_map(lambda one: cells.expand(one.shape), state)


def _check_calls(module: fx.GraphModule, layer: str) -> None:
    for call in module.graph.find_nodes(op="call_module", target=layer):
        if len(call.args) > 1 or call.kwargs:
            raise NotFollowed("it is given a first state, whose width would have to change too")


def _check_owns_its_weights(module: nn.Module, layer: str) -> None:
    own = {id(one) for one in module.get_submodule(layer).parameters()}
    others = (one for one in module.named_parameters(remove_duplicate=False) if not one[0].startswith(f"{layer}."))
    shared = next((name for name, one in others if id(one) in own), None)
    if shared is not None:
        raise NotFollowed(f"its weights are those of `{shared}` too")


def _check_readers(module: fx.GraphModule, followed: Followed) -> None:
    for owner, calls in followed.calls.items():
        if calls != len(list(module.graph.find_nodes(op="call_module", target=owner))):
            raise NotFollowed(f"`{owner}` reads something else at another place")
        _check_owns_its_weights(module, owner)


def least(scores: Tensor, count: int) -> list[list[int]]:
    """The `count` units of lowest score in each cell; `scores` is cells x width."""
    return [sorted(cell.argsort(stable=True)[:count].tolist()) for cell in scores]
