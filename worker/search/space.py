"""What a search may try of a model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter

from app.core.facts import ModelFacts
from app.core.job_options import AUTO, RunOptions
from app.core.recipes import TECHNIQUES, Step
from app.core.recipes.recipe import Recipe

Choices = Mapping[str, Any]
"""By name, such as `{"prune": "structured", "ratio": 0.5, …}`: what a recipe follows from."""

AS_IT_IS: Choices = {"prune": "none", "precision": "float32"}
_STEP: TypeAdapter[Step] = TypeAdapter(Step)

_PRECISIONS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "float32": (),
    "int8-static": ({"technique": "static_quantization", "calibration": "percentile", "keep_float": "auto"},),
    "int8-aware": ({"technique": "quantization_aware_training", "epochs": 2},),
    "int8-dynamic": ({"technique": "dynamic_quantization"},),
    "int8-weights": ({"technique": "weight_quantization"},),
    "int4-weights": ({"technique": "weight_quantization", "bits": 4},),
    "mixed": ({"technique": "mixed_precision", "bits": [2, 4, 8]},),
}
# `auto` in `outputs` makes these files of every recipe that doesn't quantize.
_MADE_BY_AUTO = frozenset({"int8-dynamic", "int8-weights", "int4-weights"})
_PRUNINGS: Mapping[str, dict[str, Any]] = {
    "structured": {"technique": "structured_pruning"},
    "low_rank": {"technique": "low_rank_factorization"},
    "layers": {"technique": "layer_pruning"},
}
_RECOVERIES = ("distillation", "fine_tuning")
_RATIOS = {"structured": (0.1, 0.95), "low_rank": (0.2, 0.9), "layers": (0.1, 0.6)}


class Chooser(Protocol):
    """A trial of Optuna."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...


@dataclass(frozen=True)
class Space:
    facts: ModelFacts
    options: RunOptions

    def recipe(self, chooser: Chooser) -> Recipe:
        """What the chooser chooses, part by part; it is asked only for what there is a choice of."""
        prune = chooser.suggest_categorical("prune", ["none", *filter(self._has_pruning, _PRUNINGS)])
        steps = [] if prune == "none" else [*self._pruning(prune, chooser), *self._recovery(chooser)]
        precision = chooser.suggest_categorical("precision", self._precisions())
        return Recipe(steps=tuple(map(_STEP.validate_python, [*steps, *_PRECISIONS[precision]])))

    def first_choices(self) -> Iterator[Choices]:
        """From what is known to work in general: precisions alone, then pruning with training, from little to much."""
        precisions = self._precisions()
        yield from ({"prune": "none", "precision": name} for name in precisions if name not in ("float32", "mixed"))
        if not self._has_pruning("structured"):
            return
        for ratio in (0.5, 0.7, 0.3, 0.85):
            yield self._pruned(ratio, "float32")
        for last in (name for name in ("int8-static", "int8-aware") if name in precisions):
            yield self._pruned(0.5, last)

    def _pruned(self, ratio: float, precision: str) -> Choices:
        ways = {"criterion": "taylor", "scope": "global"}
        training = {"recover": "distillation", "epochs": 4, "learning_rate": 1e-3}
        return {"prune": "structured", "structured_ratio": ratio, **ways, **training, "precision": precision}

    def _pruning(self, prune: str, chooser: Chooser) -> Iterator[dict[str, Any]]:
        low, high = _RATIOS[prune]
        amount = {"ratio": round(chooser.suggest_float(f"{prune}_ratio", low, high, step=0.05), 2)}
        ways = {}
        if prune == "structured":
            ways["criterion"] = chooser.suggest_categorical("criterion", ["taylor", "l2", "hessian", "group_norm"])
            ways["scope"] = chooser.suggest_categorical("scope", ["global", "layer", "isomorphic"])
        yield _PRUNINGS[prune] | amount | ways

    def _recovery(self, chooser: Chooser) -> Iterator[dict[str, Any]]:
        recoveries = [name for name in _RECOVERIES if self._fits({"technique": name})]
        recover = chooser.suggest_categorical("recover", ["none", *recoveries])
        if recover != "none":
            epochs = chooser.suggest_int("epochs", 1, 12, log=True)
            learning_rate = chooser.suggest_float("learning_rate", 1e-4, 3e-3, log=True)
            yield {"technique": recover, "epochs": epochs, "learning_rate": float(f"{learning_rate:.2g}")}

    def _has_pruning(self, prune: str) -> bool:
        return self._fits(_PRUNINGS[prune])

    def _precisions(self) -> list[str]:
        left = (name for name in _PRECISIONS if AUTO not in self.options.outputs or name not in _MADE_BY_AUTO)
        return [name for name in left if all(map(self._fits, _PRECISIONS[name]))]

    def _fits(self, fields: dict[str, Any]) -> bool:
        step = _STEP.validate_python(fields)
        if TECHNIQUES[step.technique].unavailable_because(self.facts) or step.unfit_for(self.facts):
            return False
        formats = set(step.held_by())
        wanted = set(self.options.formats)
        return wanted <= formats if wanted else bool(formats & set(self.facts.outputs))
