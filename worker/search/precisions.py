"""What a search may do to the numbers of a network: a precision, and what is chosen of it -> quantize steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from typing import Any, ClassVar

from app.core.facts import ModelFacts
from app.core.recipes import MixedPrecision, QuantizationAwareTraining, Step, WeightQuantization
from app.core.recipes.mixed_precision import Bits, PrecisionBudget
from app.core.wanted_files import CAREFUL, PRECISIONS, has_thin_filters
from worker.search.choosing import Chooser

# Static int8 of which each part is chosen, where the others have one that works in general.
TUNED = "int8-tuned"
MIXED = "mixed"
_CALIBRATIONS = ("percentile", "mse", "min_max", "entropy")
_KEPT_IN_FLOAT: Mapping[str, Any] = {"none": (), "first": "first", "auto": "auto"}
_YES, _NO = "yes", "no"


@dataclass(frozen=True)
class Precisions:
    """`training` is that of quantization-aware training, in fields of its step; `allowed` the budget's
    `max_quality_drop`."""

    facts: ModelFacts
    allowed: float | None
    training: Mapping[str, Any]
    bits: ClassVar[Sequence[Bits]] = (2, 3, 4, 8)

    def steps(self) -> Mapping[str, tuple[Step, ...]]:
        """By precision; those of `TUNED` are as they are where nothing else is chosen."""
        half = 0.01 if self.allowed is None else self.allowed / 2
        return {
            "float32": (),
            "int8-static": PRECISIONS["int8-static"],
            "int8-careful": PRECISIONS[CAREFUL],
            **(self._linear_in_4_bits() if self._has_both() else {}),
            MIXED: (MixedPrecision(bits=tuple(self.bits), budget=PrecisionBudget(max_quality_drop=half)),),
            "int8-aware": (QuantizationAwareTraining(**self.training),),
            **{name: PRECISIONS[name] for name in ("int8-dynamic", "int8-weights", "int4-weights")},
            "int3-weights": (WeightQuantization(bits=3),),
            TUNED: PRECISIONS[CAREFUL],
        }

    def drawn(self, chooser: Chooser) -> tuple[Step, ...]:
        """Of `TUNED`."""
        (careful,) = PRECISIONS[CAREFUL]
        drawn = {
            "calibration": chooser.suggest_categorical("calibration", _CALIBRATIONS),
            "keep_float": _KEPT_IN_FLOAT[chooser.suggest_categorical("keep_float", list(_KEPT_IN_FLOAT))],
            "equalize": self._has_depthwise() and chooser.suggest_categorical("equalize", [_NO, _YES]) == _YES,
        }
        static = careful.model_copy(update=drawn)
        in_4_bits = self._has_both() and chooser.suggest_categorical("linear_in_4_bits", [_NO, _YES]) == _YES
        return self._with_linear_in_4_bits(static) if in_4_bits else (static,)

    def _has_depthwise(self) -> bool:
        """Equalization does nothing to other layers whose weights have a scale for each channel."""
        return has_thin_filters(self.facts)

    def _has_both(self) -> bool:
        return bool(self._linear()) and any(layer.type.startswith("Conv") for layer in self.facts.layers)

    def _linear(self) -> tuple[str, ...]:
        """Patterns of their names, which those of their factors begin with."""
        return tuple(f"{escape(layer.name)}*" for layer in self.facts.layers if layer.type == "Linear")

    def _linear_in_4_bits(self) -> Mapping[str, tuple[Step, ...]]:
        (static,) = PRECISIONS["int8-static"]
        if self._has_depthwise():
            static = static.model_copy(update={"equalize": True})
        return {
            "int8-and-int4": self._with_linear_in_4_bits(static),
            "int8-careful-and-int4": self._with_linear_in_4_bits(*PRECISIONS[CAREFUL]),
        }

    def _with_linear_in_4_bits(self, static: Step) -> tuple[Step, ...]:
        """Of a network of convolutions, which need rounded inputs to be fast, linear layers hold many of the weights
        and do little of the work."""
        linear = self._linear()
        return static.model_copy(update={"exclude": linear}), WeightQuantization(bits=4, method="hqq", only=linear)
