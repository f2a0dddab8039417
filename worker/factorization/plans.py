"""How a layer may be factored: by which method and of which rank, what that costs and what it loses."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from app.core.recipes import LowRankFactorization
from worker.factorization.chains import Convolution, Positions, Widths
from worker.factorization.decompositions import unfolded

CHOICES = 128  # of ranks for one layer
ONCE = Positions(1, 1)  # where a layer multiplies as often as it has weights


@dataclass(frozen=True)
class Plan:
    """`ranks` are of the outputs and of the inputs for tucker, one for the others. `lost` is the share of the squared
    weights that won't be in the product: exact for svd, at most that for tucker, unknown (0) for cp."""

    method: str
    ranks: tuple[int, ...]
    macs: int
    weights: int
    lost: float = 0.0


@dataclass(frozen=True)
class Layer:
    """A layer that may be factored, and the singular values that say what each rank would lose."""

    layer: nn.Linear | Convolution
    at: Positions
    method: str

    @classmethod
    def of(cls, step: LowRankFactorization, layer: nn.Linear | Convolution, at: Positions) -> "Layer":
        """Of a linear layer and of a convolution of one point the truncated SVD is the best there is."""
        kernel = set(Widths.of(layer).kernel)
        is_matrix = not kernel or (step.method == "auto" and kernel == {1})
        method = "svd" if is_matrix else "tucker" if step.method == "auto" else step.method
        return cls(layer, at, method)

    @property
    def macs(self) -> int:
        return self.widths.macs(self.at)

    def untouched(self) -> Plan:
        return Plan("none", (), self.macs, self.layer.weight.numel())

    @cached_property
    def widths(self) -> Widths:
        return Widths.of(self.layer)

    def with_rank(self, rank: int) -> Plan:
        """The same rank for all dimensions that are larger than it."""
        if self.method == "tucker":
            return self._tucker(min(rank, self.widths.outputs), min(rank, self.widths.inputs))
        return self._single(min(rank, self._most))

    def with_energy(self, energy: float) -> Plan:
        """The smallest ranks that keep that share of the squared singular values; of both unfoldings for tucker."""
        ranks = [min(len(lost) - 1, int((lost > 1 - energy).sum())) for lost in self._lost]
        return self._tucker(*ranks) if self.method == "tucker" else self._single(*ranks)

    def within(self, macs: float) -> Plan:
        """The most exact one that isn't dearer, or the cheapest."""
        affordable = [plan for plan in self.choices() if plan.macs <= macs]
        return max(affordable, key=lambda plan: plan.macs, default=self.with_rank(1))

    def choices(self) -> Iterator[Plan]:
        """Of growing rank; for tucker both ranks grow alike."""
        for share in range(1, CHOICES + 1):
            if self.method == "tucker":
                yield self._tucker(_share_of(self.widths.outputs, share), _share_of(self.widths.inputs, share))
            else:
                yield self._single(_share_of(self._most, share))

    def _single(self, rank: int) -> Plan:
        if self.method == "cp":
            return Plan("cp", (rank,), self.widths.cp_macs(rank, self.at), self.widths.cp_macs(rank, ONCE))
        lost = float(self._lost[0][rank])
        return Plan("svd", (rank,), self.widths.svd_macs(rank, self.at), self.widths.svd_macs(rank, ONCE), lost)

    def _tucker(self, rank_out: int, rank_in: int) -> Plan:
        of_outputs, of_inputs = self._lost
        lost = min(1.0, float(of_outputs[rank_out] + of_inputs[rank_in]))
        macs, weights = (self.widths.tucker_macs(rank_out, rank_in, at) for at in (self.at, ONCE))
        return Plan("tucker", (rank_out, rank_in), macs, weights, lost)

    @property
    def _most(self) -> int:
        """A larger rank isn't cheaper than the layer."""
        if self.method == "cp":
            return max(1, self.macs // self.widths.cp_macs(1, self.at))
        return min(self.widths.outputs, self.widths.columns)

    @cached_property
    def _lost(self) -> tuple[Tensor, ...]:
        """For svd of the weight as a matrix, for tucker of its unfoldings by outputs and by inputs: at each rank from 0
        on, the share of the squared singular values that are left out."""
        weight = self.layer.weight.detach().double()
        unfoldings = [weight.flatten(1)] + ([unfolded(weight, 1)] if self.method == "tucker" else [])
        return tuple(_shares_left_out(unfolding) for unfolding in unfoldings)


def _shares_left_out(matrix: Tensor) -> Tensor:
    squares = torch.linalg.svdvals(matrix).square()
    left_out = squares.flip(0).cumsum(0).flip(0) / squares.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return torch.cat([left_out, left_out.new_zeros(max(1, len(matrix) + 1 - len(left_out)))])


def _share_of(width: int, share: int) -> int:
    return max(1, -(-width * share // CHOICES))
