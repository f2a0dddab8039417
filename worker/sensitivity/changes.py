"""What is done to one layer at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from glob import escape

from app.core.recipes import MagnitudePruning, Step, StructuredPruning, WeightQuantization
from app.core.sensitivities import ChangedBy
from worker.applying import applied
from worker.network import Network, layers_of
from worker.run import Run
from worker.sparsity.weights import prunable_layers
from worker.structure.candidates import Candidates
from worker.structure.groups import Group
from worker.structure.removal import masked

# Those that tell most come first: time may not be enough for all.
RATIOS = (0.5, 0.25, 0.75)
BITS = (4, 8, 2)
MOST_LAYERS = 100


@dataclass(frozen=True)
class Change:
    """`changed` answers with the network in which only this layer is. Where nothing can be done to it, that answers
    None or raises Problem."""

    layer: str
    technique: ChangedBy
    amount: float
    changed: Callable[[], Network | None]
    tied: tuple[str, ...] = ()


def changes_of(network: Network, run: Run) -> list[Change]:
    """Every layer is changed in one way before the next way begins."""
    layers, groups = _largest_layers(network), _Groups.of(network, run)
    return [
        *(change for ratio in RATIOS for change in groups.without(ratio)),
        *(change for ratio in RATIOS for change in _without_weights(ratio, layers, network, run)),
        *(change for bits in BITS for change in _in_bits(bits, layers, network, run)),
    ]


def _largest_layers(network: Network) -> list[str]:
    """In the network's order."""
    named = layers_of(network.module)
    sizes = {
        name: sum(p.numel() for p in named[name].parameters(recurse=False)) for name in prunable_layers(network.module)
    }
    return [name for name in sizes if name in sorted(sizes, key=lambda one: -sizes[one])[:MOST_LAYERS]]


def _without_weights(ratio: float, layers: Sequence[str], network: Network, run: Run) -> Iterator[Change]:
    """The smallest weights of each layer are zero."""
    for layer in layers:
        step = MagnitudePruning(sparsity=ratio, only=(escape(layer),))
        yield Change(layer, "magnitude_pruning", ratio, partial(_changed_by, step, network, run))


def _in_bits(bits: int, layers: Sequence[str], network: Network, run: Run) -> Iterator[Change]:
    for layer in layers:
        step = WeightQuantization.model_validate({"bits": bits, "only": (escape(layer),)})
        yield Change(layer, "weight_quantization", bits, partial(_changed_by, step, network, run))


def _changed_by(step: Step, network: Network, run: Run) -> Network:
    return applied(step, network, run.silenced(), run.seed)


@dataclass(frozen=True)
class _Groups:
    """Units that go together. None where the network can't be edited as a whole."""

    candidates: Candidates | None
    groups: Sequence[Group]

    @classmethod
    def of(cls, network: Network, run: Run) -> "_Groups":
        if network.keeps_its_forward:
            return cls(None, ())
        candidates = Candidates(StructuredPruning(scope="layer"), network, run.silenced(), {})
        largest = sorted(candidates.scores, key=lambda group: -len(group))[:MOST_LAYERS]
        return cls(candidates, [group for group in candidates.scores if group in largest])

    def without(self, ratio: float) -> Iterator[Change]:
        """All weights of the units of least norm are zero, which is what taking them away does to the answers."""
        for group in self.groups:
            first, *tied = group.layers
            yield Change(first, "structured_pruning", ratio, partial(self._masked, group, ratio), tuple(tied))

    def _masked(self, group: Group, ratio: float) -> Network | None:
        assert self.candidates is not None
        atoms = self.candidates.least(ratio, [group])
        if not atoms:
            return None
        return replace(self.candidates.network, module=masked(self.candidates.module, self.candidates.structure, atoms))
