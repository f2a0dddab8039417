"""What a search may try of a model: choices -> a recipe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from math import ceil
from typing import Any

from pydantic import TypeAdapter

from app.core.expected import ExpectedNetwork
from app.core.facts import DatasetFacts, ModelFacts
from app.core.job_options import AUTO, RunOptions
from app.core.plans.rates import Rates
from app.core.plans.work import OF_ACTIVATION, PASSES, training_work
from app.core.recipes import TECHNIQUES, Distillation, Step
from app.core.recipes.recipe import Recipe
from app.core.recipes.structured_pruning import QUICK_CHANNELS, RECURRENT, thinned
from app.core.recipes.training import is_image
from app.core.sensitivities import Sensitivity
from app.core.studies.requests import Search
from app.core.wanted_files import PRECISIONS
from worker.search.choosing import Choices, Chooser
from worker.search.precisions import MIXED, TUNED, Precisions

AS_IT_IS: Choices = {"prune": "none", "precision": "float32"}
_STEP: TypeAdapter[Step] = TypeAdapter(Step)

# `auto` in `outputs` makes these files of every recipe that doesn't quantize.
_MADE_BY_AUTO = frozenset(PRECISIONS) - {"float32"}
_PARTS: Mapping[str, dict[str, Any]] = {
    "structured": {"technique": "structured_pruning", "round_to": QUICK_CHANNELS},
    "low_rank": {"technique": "low_rank_factorization"},
    "layers": {"technique": "layer_pruning"},
}
SHALLOW_AND_THIN = "layers_and_structured"
_PRUNINGS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in _PARTS},
    SHALLOW_AND_THIN: ("layers", "structured"),
}
_RATIOS = {"structured": (0.1, 0.95), "low_rank": (0.2, 0.9), "layers": (0.1, 0.6)}
_STEPS = {"structured": 0.05, "low_rank": 0.05, "layers": 0.1}
# The first looks at how well its readers' weights make up for a unit, and so these are solved anew.
SOLVED = "reconstruction_error"
_CRITERIA = (SOLVED, "taylor", "l2", "group_norm")
# Of a search's seconds, what one training should take, at the rate of an idle core, and what it may take.
_MEANT_FOR_TRAINING, _MOST_FOR_TRAINING = 1 / 12, 1 / 3
MOST_EPOCHS = 12
# Examples that layers are judged by, however large the network.
_FEWEST_JUDGED = 16
# So many times as long is trained what is worth it.
LONGER = 3
_NEARLY, _FAR = 3, 5
# Where each layer has lost half of its units alone, its sensitivity is compared. What stays of the most sensitive ones
# and of the others is what would stay of all alike, to the power of:
_JUDGED_AT, _SENSITIVE, _OTHERS = 0.5, 0.6, 1.15
FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Space:
    """`data` and `sensitivity` are None as long as nothing is known of them."""

    facts: ModelFacts
    options: RunOptions
    search: Search
    data: DatasetFacts | None = None
    sensitivity: Sensitivity | None = None

    def recipe(self, chooser: Chooser) -> Recipe:
        """What the chooser chooses, part by part; it is asked only for what there is a choice of."""
        prune = chooser.suggest_categorical("prune", ["none", *filter(self.has_pruning, _PRUNINGS)])
        pruned = (self._pruning(part, chooser, prune) for part in _PRUNINGS.get(prune, ()))
        steps = [] if prune == "none" else [*pruned, *self._recovery(chooser)]
        precision = chooser.suggest_categorical("precision", self.precisions())
        quantized = self._precisions.drawn(chooser) if precision == TUNED else self._precisions.steps()[precision]
        return Recipe(steps=tuple(map(_STEP.validate_python, [*steps, *quantized])))

    def has_pruning(self, prune: str) -> bool:
        return all(self._fits(_PARTS[part]) for part in _PRUNINGS[prune])

    def criteria(self) -> list[str]:
        """Hidden units of recurrent layers can't be solved for."""
        fitting = (name for name in _CRITERIA if self._fits(_PARTS["structured"] | _by(name)))
        return [name for name in fitting if name != SOLVED or not self.facts.layer_types() & RECURRENT]

    def scopes(self) -> list[str]:
        """Of structured pruning; `sensitivity` gives each layer a ratio of its own."""
        return ["layer", *(["sensitivity"] if self._groups_by_error() else []), "global", "isomorphic"]

    def precisions(self) -> list[str]:
        known = self._precisions.steps()
        left = (name for name in known if not (self._is_auto and name in _MADE_BY_AUTO) and self._has_time_for(name))
        return [name for name in left if all(map(self._fits, known[name]))]

    def recoveries(self) -> list[str]:
        is_labelled = self.data is not None and self.data.task != "unlabelled"
        wanted = ["distillation", *(["fine_tuning"] if is_labelled else [])]
        return [*(name for name in wanted if self._fits({"technique": name})), "none"]

    def augmentations(self) -> list[str]:
        arrays = {} if self.data is None else self.data.arrays
        named = (array for name, array in arrays.items() if name.partition(".")[0] in ("x", "x_train"))
        return ["none", "shift"] if any(is_image(array.shape) for array in named) else ["none"]

    def most_epochs(self) -> int:
        """As many as fit into a part of the search, of a network that has lost half of its units, on an idle core: the
        same ones on any machine."""
        upload, step = ExpectedNetwork.of(self.facts), Distillation()
        examples = self.data.examples["train"] if self.data else 0
        work = (
            training_work(step, thinned(upload, 0.5), examples, 1) + training_work(step, upload, examples, 1) / PASSES
        )
        affordable = _MEANT_FOR_TRAINING * self.search.seconds * Rates().work_in_second / max(1.0, work)
        return max(1, min(MOST_EPOCHS, int(affordable)))

    def _has_time_for(self, precision: str) -> bool:
        """Bits for each layer are found by running the network with each layer rounded to each of them."""
        if precision != MIXED:
            return True
        upload, ways = ExpectedNetwork.of(self.facts), len(Precisions.bits) * len(self.facts.layers)
        work = ways * _FEWEST_JUDGED * (upload.macs + OF_ACTIVATION * upload.activations)
        return work < _MEANT_FOR_TRAINING * self.search.seconds * Rates().work_in_second

    @property
    def nearly(self) -> float:
        """By so much more than the budget allows may be lost, of what a longer training may still bring back."""
        return _NEARLY * (self.search.budget.max_quality_drop or 0.0)

    @property
    def far_off(self) -> float:
        """By so much more than the budget allows is lost what no training of that length brings back."""
        return _FAR * (self.search.budget.max_quality_drop or 0.0)

    @property
    def _is_auto(self) -> bool:
        return AUTO in self.options.outputs

    def _pruning(self, part: str, chooser: Chooser, prune: str) -> dict[str, Any]:
        """Sensitivities are those of the upload's layers, and some of them may be gone."""
        low, high = _RATIOS[part]
        ratio = round(chooser.suggest_float(f"{part}_ratio", low, high, step=_STEPS[part]), 2)
        if part != "structured":
            return _PARTS[part] | {"ratio": ratio}
        ways = _by(chooser.suggest_categorical("criterion", self.criteria()))
        scope = "layer" if prune == SHALLOW_AND_THIN else chooser.suggest_categorical("scope", self.scopes())
        amount = {"ratios": self._ratios(ratio)} if scope == "sensitivity" else {"ratio": ratio, "scope": scope}
        return _PARTS[part] | amount | ways

    def _ratios(self, ratio: float) -> dict[str, float]:
        """By pattern of layers: those of the most sensitive quarter lose less, all others a little more."""
        groups = self._groups_by_error()
        sensitive = groups[-ceil(len(groups) / 4) :]
        less, more = (round(1 - (1 - ratio) ** power, 3) for power in (_SENSITIVE, _OTHERS))
        return {**{escape(name): less for group in sensitive for name in group}, "*": more}

    def _groups_by_error(self) -> list[tuple[str, ...]]:
        """Layers that lose the same units, the least sensitive first; none where too few are known to tell."""
        rows = () if self.sensitivity is None else self.sensitivity.layers
        pruned = [row for row in rows if row.technique == "structured_pruning" and row.amount == _JUDGED_AT]
        groups = [(row.layer, *row.tied) for row in sorted(pruned, key=lambda row: row.error)]
        return groups if len(groups) >= FEWEST_GROUPS else []

    def _recovery(self, chooser: Chooser) -> Iterator[dict[str, Any]]:
        recover = chooser.suggest_categorical("recover", self.recoveries())
        if recover == "none":
            return
        learning_rate = chooser.suggest_float("learning_rate", 3e-4, 5e-3, log=True)
        yield {
            "technique": recover,
            "epochs": chooser.suggest_int("epochs", 1, LONGER * self.most_epochs(), log=True),
            "seconds": self._seconds_of_training,
            "learning_rate": float(f"{learning_rate:.2g}"),
            "augmentation": chooser.suggest_categorical("augmentation", self.augmentations()),
            **({"temperature": 2.0} if recover == "distillation" else {}),
        }

    @property
    def _seconds_of_training(self) -> float:
        """No trial takes the whole time of a search; where it is far from enough, the report of the job says so."""
        return round(max(1.0, _MOST_FOR_TRAINING * self.search.seconds), 1)

    @property
    def _precisions(self) -> Precisions:
        training = {"epochs": min(2, self.most_epochs()), "seconds": self._seconds_of_training}
        return Precisions(self.facts, self.search.budget.max_quality_drop, training)

    def _fits(self, unchecked: Step | dict[str, Any]) -> bool:
        step = _STEP.validate_python(unchecked)
        if TECHNIQUES[step.technique].unavailable_because(self.facts) or step.unfit_for(self.facts):
            return False
        formats = set(step.held_by())
        wanted = set(self.options.formats)
        return wanted <= formats if wanted else bool(formats & set(self.facts.outputs))


def _by(criterion: str) -> dict[str, Any]:
    return {"criterion": criterion, "reconstruction": "least_squares" if criterion == SOLVED else "none"}
