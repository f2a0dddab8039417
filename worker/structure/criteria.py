"""How much the units of a group matter. Each criterion answers with one number for each unit: the least goes first.

With W the weights that make a unit (a filter, a neuron's row, the rows of a head's query, key and value; with `unit`
channel the weights that read it), g a loss's gradient for one example and f the network's answers:

l1, l2            sum |w|, (sum w^2)^(1/2): Li et al., Pruning Filters for Efficient ConvNets, 2017
group_norm        (sum w^2)^(1/2) over all weights that go with the unit: Fang et al., DepGraph, 2023
batch_norm_scale  |gamma| of the unit's batch norms: Liu et al., Network Slimming, 2017
lamp              sum w^2 over that of all units at least as large: Lee et al., Layer-adaptive Sparsity, 2021
fpgm              sum of the distances to the group's other units: He et al., Geometric Median, 2019
taylor            sum |w| E|g|: Molchanov et al., Importance Estimation, 2019, example by example
hessian           sum w^2 E[g^2] / 2: LeCun et al., Optimal Brain Damage, 1990, by unit
stability         sum w^2 E|df/dw|^2: how far the answers move when the unit is disturbed
apoz              1 - the fraction of zeros that the unit says: Hu et al., Network Trimming, 2016
mean_activation   E|a| of what the unit says: Polyak and Wolf, Channel-level Acceleration, 2015
lsh               (1 - r) (sum w^2)^(1/2), r the fraction of hash tables that hold a larger, similar unit
random            by the seed alone, as a control
reconstruction_error  by how much its readers' answers change, if their other weights make up for it: `elimination.py`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from app.core.recipes.structured_pruning import Criterion
from worker.importance.activations import OutputStatistics, output_statistics
from worker.importance.examples import example_count
from worker.importance.gradients import Gradients, loss_gradients
from worker.importance.gram_matrices import input_grams
from worker.importance.input_statistics import EXAMPLES
from worker.importance.lsh import redundancy
from worker.importance.stability import answer_sensitivity
from worker.network import Network
from worker.run import Run
from worker.structure.analysis import Role
from worker.structure.elimination import Reader, errors_of_elimination
from worker.structure.groups import Group, Slices
from worker.structure.reconstruction import InputGrams, columns_of


@dataclass(frozen=True)
class Evidence:
    """What criteria look at. What needs data is found when it is first asked for, once for all groups."""

    network: Network
    run: Run
    role: Role = "output"

    @cached_property
    def parameters(self) -> Mapping[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.network.module.named_parameters()}

    @cached_property
    def gradients(self) -> Gradients:
        return loss_gradients(self.network, self.run)

    @cached_property
    def sensitivity(self) -> Mapping[str, Tensor]:
        return answer_sensitivity(self.network, self.run)

    @cached_property
    def statistics(self) -> Mapping[str, OutputStatistics]:
        return output_statistics(self.network, self.run)

    @cached_property
    def grams(self) -> InputGrams:
        return InputGrams(input_grams(self.network, self.run), example_count(self.run, EXAMPLES))

    def slices(self, group: Group) -> list[Slices]:
        found = [one for one in group.slices if one.role == self.role]
        return found or [one for one in group.slices if one.role == "output"]


Judge = Callable[[Group, Evidence], Tensor]


def scores(group: Group, criterion: Criterion, evidence: Evidence) -> Tensor | None:
    """Of shape (units,), or None where the criterion can't judge this group."""
    judged = JUDGES[criterion](group, evidence)
    return None if judged is None else judged.double()


def _summed(group: Group, slices: list[Slices], tensors: Callable[[str], Tensor]) -> Tensor:
    """For each unit the sum of all numbers at its places."""
    total = torch.zeros(len(group))
    for one in slices:
        of_index = (
            tensors(one.parameter).movedim(one.dim, 0).flatten(1).sum(1)
            if _wide(tensors, one)
            else tensors(one.parameter)
        )
        total.index_add_(0, one.units, of_index[one.indices])
    return total


def _wide(tensors: Callable[[str], Tensor], one: Slices) -> bool:
    return tensors(one.parameter).ndim > 1


def _rows(group: Group, evidence: Evidence) -> Tensor:
    """All weights of each unit: (units, weights)."""
    rows = [
        evidence.parameters[one.parameter].movedim(one.dim, 0)[one.indices].reshape(len(group), -1)
        for one in evidence.slices(group)
        if _evenly(group, one)
    ]
    return torch.cat(rows, dim=1)


def _evenly(group: Group, one: Slices) -> bool:
    """Whether each unit has as many indices as any other."""
    counts = one.units.bincount(minlength=len(group))
    return bool((counts == counts[0]).all())


def _l1(group: Group, evidence: Evidence) -> Tensor:
    return _summed(group, evidence.slices(group), lambda name: evidence.parameters[name].abs())


def _squares(group: Group, evidence: Evidence) -> Tensor:
    return _summed(group, evidence.slices(group), lambda name: evidence.parameters[name].square())


def _l2(group: Group, evidence: Evidence) -> Tensor:
    return _squares(group, evidence).sqrt()


def _group_norm(group: Group, evidence: Evidence) -> Tensor:
    return _summed(group, list(group.slices), lambda name: evidence.parameters[name].square()).sqrt()


def _batch_norm_scale(group: Group, evidence: Evidence) -> Tensor | None:
    module = evidence.network.module
    scales = [one for one in group.slices if _is_scale(module.get_submodule(one.layer), one)]
    return _summed(group, scales, lambda name: evidence.parameters[name].abs()) if scales else None


def _is_scale(layer: nn.Module, one: Slices) -> bool:
    return isinstance(layer, nn.modules.batchnorm._BatchNorm) and one.parameter.endswith(".weight")


def _lamp(group: Group, evidence: Evidence) -> Tensor:
    squares = _squares(group, evidence)
    ordered, order = squares.sort(descending=True)
    return torch.empty_like(squares).index_copy_(0, order, ordered / ordered.cumsum(0).clamp_min(1e-30))


def _fpgm(group: Group, evidence: Evidence) -> Tensor:
    rows = _rows(group, evidence)
    distances: Tensor = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.sum(1)


def _taylor(group: Group, evidence: Evidence) -> Tensor:
    weights, gradients = evidence.parameters, evidence.gradients.mean_absolute
    return _summed(group, evidence.slices(group), lambda name: weights[name].abs() * gradients[name])


def _hessian(group: Group, evidence: Evidence) -> Tensor:
    weights, curvature = evidence.parameters, evidence.gradients.mean_square
    return _summed(group, evidence.slices(group), lambda name: weights[name].square() * curvature[name] / 2)


def _stability(group: Group, evidence: Evidence) -> Tensor:
    weights, moved = evidence.parameters, evidence.sensitivity
    return _summed(group, evidence.slices(group), lambda name: weights[name].square() * moved[name])


def _apoz(group: Group, evidence: Evidence) -> Tensor | None:
    return _said(group, evidence, lambda statistics: 1 - statistics.zeros)


def _mean_activation(group: Group, evidence: Evidence) -> Tensor | None:
    return _said(group, evidence, lambda statistics: statistics.mean_absolute)


def _said(group: Group, evidence: Evidence, number: Callable[[OutputStatistics], Tensor]) -> Tensor | None:
    """The mean over all layers that make the unit."""
    total, count = torch.zeros(len(group)), torch.zeros(len(group))
    for one in (one for one in group.slices if one.role == "output" and one.layer in evidence.statistics):
        said = number(evidence.statistics[one.layer])
        if len(said) == evidence.parameters[one.parameter].shape[one.dim]:
            total.index_add_(0, one.units, said[one.indices])
            count.index_add_(0, one.units, torch.ones(len(one.units)))
    return total / count if bool(count.all()) else None


def _lsh(group: Group, evidence: Evidence) -> Tensor:
    rows = _rows(group, evidence)
    return (1 - redundancy(rows, evidence.run.seed)) * rows.square().sum(1).sqrt()


def _reconstruction_error(group: Group, evidence: Evidence) -> Tensor | None:
    readers = [_reader(group, one, evidence) for one in group.slices if one.role == "input"]
    known = [reader for reader in readers if reader is not None]
    return errors_of_elimination(known) if known and len(known) == len(readers) else None


def _reader(group: Group, one: Slices, evidence: Evidence) -> Reader | None:
    weight, gram = evidence.parameters[one.parameter], evidence.grams.to_judge(one.parameter)
    if gram is None or not _evenly(group, one):
        return None
    columns = columns_of(weight)[one.indices].reshape(len(group), -1)
    return Reader.of(weight.flatten(1).double(), gram, columns)


def _random(group: Group, evidence: Evidence) -> Tensor:
    return torch.rand(len(group), generator=torch.Generator().manual_seed(evidence.run.seed + group.atoms[0]))


JUDGES: dict[Criterion, Callable[[Group, Evidence], Tensor | None]] = {
    "l1": _l1,
    "l2": _l2,
    "group_norm": _group_norm,
    "batch_norm_scale": _batch_norm_scale,
    "lamp": _lamp,
    "fpgm": _fpgm,
    "taylor": _taylor,
    "hessian": _hessian,
    "stability": _stability,
    "apoz": _apoz,
    "mean_activation": _mean_activation,
    "lsh": _lsh,
    "random": _random,
    "reconstruction_error": _reconstruction_error,
}
