"""How much each unit's going changes the network's answers, for each multiply-accumulate or parameter that it saves.

A layer's own error says little of that: what one layer adds to the answers' error at an error of its own another one
adds at a hundredth, and a unit of the first layers may compute a thousand times as much as one of the last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import torch
from torch import Tensor

from app.core.recipes.structured_pruning import PruningTarget
from worker.importance.examples import example_batches
from worker.network import Network
from worker.run import Run
from worker.structure.groups import Group
from worker.structure.search import cost_of

EXAMPLES = 32
BATCH_SIZE = 16
# Enough for an error that can be told from rounding, in layers of many idle units too.
PROBED = 0.3
# Where no target says what counts.
MACS = PruningTarget(macs=1)


@dataclass(frozen=True)
class Damage:
    """`cut` gives the network without some atoms, or None where that doesn't run."""

    network: Network
    run: Run
    cut: Callable[[Sequence[int]], Network | None]
    target: PruningTarget | None

    def per_cost(self, errors: Mapping[Group, Tensor]) -> dict[Group, Tensor]:
        """`errors` of units, multiplied for each group by what the answers' error is in proportion to them, and divided
        by what one of its units costs: both as measured without the least important 30 % of the group. Groups that
        can't lose these are left out."""
        scales = {group: self._scale(group, of) for group, of in errors.items()}
        return {group: errors[group] * scale for group, scale in scales.items() if scale is not None}

    def _scale(self, group: Group, errors: Tensor) -> float | None:
        units = errors.argsort(stable=True)[: ceil(PROBED * (len(group) - 1))]
        without = self.cut([group.atoms[unit] for unit in units.tolist()])
        if without is None:
            return None
        tiny = torch.finfo(errors.dtype).tiny
        saved = cost_of(self.network, self.target or MACS) - cost_of(without, self.target or MACS)
        return self._error(without) / max(float(errors[units].sum()), tiny) / max(saved / len(units), 1.0)

    def _error(self, without: Network) -> float:
        """Of the first answer, in fractions of its variance."""
        error = (self._answers_of(without) - self._answers).square().mean()
        return float(error / self._answers.var(correction=0).clamp_min(torch.finfo(torch.float32).tiny))

    @cached_property
    def _answers(self) -> Tensor:
        return self._answers_of(self.network)

    def _answers_of(self, network: Network) -> Tensor:
        batches = example_batches(self.network, self.run, EXAMPLES, BATCH_SIZE)
        return torch.cat([network.run(*inputs)[0] for inputs, _ in batches])
